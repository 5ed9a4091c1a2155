//! Work that goes on after the response.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Request;
use axum::routing::get;
use callgate::AppError;
use callgate_toolkit::test_client::{Failure, ResponseExt, TestExchange};
use callgate_tower::{Background, ServiceApp};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use crate::support::{Server, client, settled, within};

/// The steps that have been done, in order.
#[derive(Clone, Default)]
struct Done(Arc<Mutex<Vec<&'static str>>>);

impl Done {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    #[track_caller]
    fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.lock().unwrap(), expected);
    }
}

/// Returns a function that returns `value` at its only call.
fn once<T>(value: T) -> impl Fn() -> T + Clone {
    let value = Arc::new(Mutex::new(Some(value)));
    move || value.lock().unwrap().take().unwrap()
}

#[tokio::test]
async fn the_client_does_not_wait_for_work_that_is_done_in_order() {
    let done = Done::default();
    let (go, may_go) = oneshot::channel();
    let may_go = once(may_go);
    let noted = done.clone();
    let handler = async move |background: Background| {
        let (may_go, first, second) = (may_go(), noted.clone(), noted.clone());
        let more = background.clone();
        background.add(async move {
            may_go.await.unwrap();
            first.note("first");
            more.add(async move {
                first.note("third");
                Ok(())
            });
            Ok(())
        });
        background.add(async move {
            second.note("second");
            Ok(())
        });
        noted.note("handled");
        "text"
    };
    let client = client(Router::new().route("/", get(handler)));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "text");
    settled().await;
    assert!(!TestExchange::of(&response).is_ended());
    done.assert(&["handled"]);
    go.send(()).unwrap();
    TestExchange::of(&response).ended().await.unwrap();
    done.assert(&["handled", "first", "second", "third"]);
}

#[tokio::test]
async fn work_that_fails_or_panics_is_the_call_s_failure_and_hinders_no_other() {
    let done = Done::default();
    let noted = done.clone();
    let failing = async |background: Background| {
        background.add(async { Err(AppError::failed("the disk is full")) });
        "text"
    };
    let panicking = async move |background: Background| {
        let noted = noted.clone();
        background.add(async { panic!("no more") });
        background.add(async move {
            noted.note("the next");
            Err(AppError::failed("and the disk is full"))
        });
        "text"
    };
    let routes = Router::new()
        .route("/failing", get(failing))
        .route("/panicking", get(panicking));
    let client = client(routes);
    let response = client.get("/failing").send().await.unwrap();
    assert_eq!(response.text(), "text");
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Error(error) if error.to_string() == "the disk is full"),
        "{failure}"
    );
    let response = client.get("/panicking").send().await.unwrap();
    assert_eq!(response.text(), "text");
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Panicked(message) if message.contains("no more")),
        "{failure}"
    );
    done.assert(&["the next"]);
}

/// Says that it is gone.
struct Held(Done);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

#[tokio::test]
async fn work_is_done_after_a_client_that_goes_away_before_the_response() {
    let done = Done::default();
    let (called, is_called) = oneshot::channel();
    let called = once(called);
    let noted = done.clone();
    let handler = async move |background: Background| {
        let work = noted.clone();
        background.add(async move {
            work.note("worked");
            Ok(())
        });
        let _held = Held(noted.clone());
        called().send(()).unwrap();
        std::future::pending::<()>().await;
    };
    let client = client(Router::new().route("/", get(handler)));
    let pending = client.get("/").start();
    within(is_called).await.unwrap();
    done.assert(&[]);
    pending.exchange().disconnect();
    pending.exchange().ended().await.unwrap();
    done.assert(&["dropped", "worked"]);
}

fn broken() {
    panic!("no");
}

#[tokio::test]
async fn work_is_done_after_a_handler_that_panics() {
    let done = Done::default();
    let noted = done.clone();
    let handler = async move |background: Background| {
        let work = noted.clone();
        background.add(async move {
            work.note("worked");
            Ok(())
        });
        let _held = Held(noted.clone());
        broken();
    };
    let client = client(Router::new().route("/", get(handler)));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Panicked(message) if message == "no"),
        "{failure}"
    );
    done.assert(&["dropped", "worked"]);
}

#[tokio::test]
async fn a_server_that_shuts_down_waits_for_it() {
    let done = Done::default();
    let (go, may_go) = oneshot::channel();
    let may_go = once(may_go);
    let noted = done.clone();
    let handler = async move |background: Background| {
        let (may_go, noted) = (may_go(), noted.clone());
        background.add(async move {
            may_go.await.unwrap();
            noted.note("worked");
            Ok(())
        });
        "text"
    };
    let server = Server::start(ServiceApp::new(Router::new().route("/", get(handler))));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    assert!(response.ends_with("\r\n\r\ntext"), "{response}");
    drop(stream);
    let finished = tokio::spawn(server.finish());
    // Nothing but the work is left to wait for.
    settled().await;
    done.assert(&[]);
    assert!(!finished.is_finished());
    go.send(()).unwrap();
    within(finished).await.unwrap();
    done.assert(&["worked"]);
}

#[tokio::test]
async fn without_the_bridge_a_handler_that_takes_background_gets_500() {
    let routes = Router::new().route("/", get(async |_: Background| "text"));
    let request = Request::new(axum::body::Body::empty());
    let response = routes.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
