use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use callgate_apps::work::Work;
use callgate_toolkit::errors::handle;
use callgate_toolkit::test_client::{Pending, ResponseExt, TestClient};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::client;
use crate::log::Log;

/// Returns a runtime with one thread, and one more for blocking work, which is busy until the sender is
/// dropped.
fn held() -> (Runtime, Sender<()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let (release, released) = channel::<()>();
    runtime.spawn_blocking(move || released.recv());
    (runtime, release)
}

/// Yields until the condition holds, which takes a few polls of the other tasks.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        yield_now().await;
    }
    panic!("the condition does not hold");
}

#[test]
fn checks_are_answered_while_computations_run() {
    let (runtime, release) = held();
    runtime.block_on(async {
        let client = client("work");
        let works = ["/work/3", "/fib/10"].map(|path| client.get(path).start());
        for _ in 0..100 {
            let check = client.get("/check").send().await.unwrap();
            assert_eq!(check.text(), "OK\n");
            for work in &works {
                let sent = work.exchange().transcript().sent().count();
                assert_eq!(sent, 0, "{:?}", work.exchange());
            }
        }
        drop(release);
        let [sorted, fibonacci] = works;
        let sorted = sorted.response().await.unwrap();
        let sorted: Value = sorted.json().unwrap();
        assert_eq!(sorted, json!({ "numbers": 1000, "sorted": true }));
        let fibonacci = fibonacci.response().await.unwrap();
        let fibonacci: Value = fibonacci.json().unwrap();
        assert_eq!(fibonacci, json!({ "n": 10, "fibonacci": 55 }));
    });
}

#[test]
fn a_burst_runs_and_waits_up_to_the_limits() {
    let (runtime, release) = held();
    runtime.block_on(async {
        let work = Arc::new(Work::new(2, 3));
        let client = TestClient::new(handle(work.clone()));
        let mut places: Vec<Pending> = (0..5).map(|_| client.get("/work/1").start()).collect();
        until(|| work.requests() == 5).await;
        assert_eq!(work.running(), 2);

        let busy = client.get("/fib/1").send().await.unwrap();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()["retry-after"], "1");
        let check = client.get("/check").send().await.unwrap();
        assert_eq!(check.text(), "OK\n");

        // A request that waits frees its place when its client disconnects.
        let gone = places.pop().unwrap();
        gone.exchange().disconnect();
        gone.exchange().ended().await.unwrap();
        assert_eq!(work.requests(), 4);
        places.push(client.get("/fib/1").start());
        until(|| work.requests() == 5).await;
        assert_eq!(work.running(), 2);

        drop(release);
        for pending in places {
            assert_eq!(pending.response().await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!((work.requests(), work.running()), (0, 0));
    });
}

#[test]
fn a_computation_keeps_its_permit_until_it_is_done_even_when_its_client_is_gone() {
    let (runtime, release) = held();
    runtime.block_on(async {
        let work = Arc::new(Work::new(1, 1));
        let client = TestClient::new(handle(work.clone()));
        let gone = client.get("/work/1").start();
        until(|| work.running() == 1).await;
        gone.exchange().disconnect();
        gone.exchange().ended().await.unwrap();
        // The permit is released by the thread, which has not taken the computation yet.
        assert_eq!((work.requests(), work.running()), (0, 1));
        let next = client.get("/work/1").start();
        until(|| work.requests() == 1).await;
        assert_eq!(next.exchange().transcript().sent().count(), 0);
        drop(release);
        assert_eq!(next.response().await.unwrap().status(), StatusCode::OK);
        assert_eq!(work.running(), 0);
    });
}

#[tokio::test]
async fn numbers_are_sorted_and_fibonacci_numbers_are_exact() {
    let client = client("work");
    for (path, answer) in [
        ("/work/0", json!({ "numbers": 1, "sorted": true })),
        ("/work/5", json!({ "numbers": 100_000, "sorted": true })),
        ("/fib/0", json!({ "n": 0, "fibonacci": 0 })),
        ("/fib/1", json!({ "n": 1, "fibonacci": 1 })),
        ("/fib/27", json!({ "n": 27, "fibonacci": 196_418 })),
    ] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.json::<Value>().unwrap(), answer);
    }
    let head = client.head("/work/1").send().await.unwrap();
    assert_eq!((head.status(), head.text()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn wrong_numbers_and_paths_are_refused_with_a_reason() {
    let log = Log::start();
    let client = client("work");
    for path in [
        "/work/8",
        "/work/-1",
        "/work/+1",
        "/work/ten",
        "/work/1.5",
        "/work/99999999999999999999999",
        "/fib/41",
        "/fib/x",
    ] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body: Value = response.json().unwrap();
        let given = path.rsplit('/').next().unwrap();
        let most = if path.starts_with("/work") { 7 } else { 40 };
        let error = format!("n is a whole number from 0 to {most}, not {given:?}");
        assert_eq!(body, json!({ "error": error }));
    }
    log.has(r#"DEBUG GET /work/8 422: n is a whole number from 0 to 7, not "8""#);
    for path in ["/work", "/work/", "/work/1/2", "/fib/", "/checks", "/x"] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        response.json::<Value>().unwrap();
    }
    for path in ["/", "/check", "/work/1", "/fib/1"] {
        let response = client.method(Method::POST, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        response.json::<Value>().unwrap();
    }
    let response = client.get("/").send().await.unwrap();
    assert!(response.text().contains("work/{n}"));
}
