//! Tests of registries other than that of the t-shirts. The clock of Tokio is paused, so time
//! passes when all tasks wait.

use std::time::Duration;

use callgate_toolkit::lifespan;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep, timeout};

use super::app::EventsApp;
use super::registry::Registry;
use super::response::{BackgroundResponse, InteractiveResponse, ScheduledExecutionResponse};
use crate::http_errors;
use crate::settings::{Settings, Token};

const PERIOD: Duration = Duration::from_secs(60);

/// Returns the application of this registry, with settings for an API that is never called.
fn app(registry: Registry) -> EventsApp {
    let settings = Settings {
        connect_url: Some("http://127.0.0.1:9/".parse().unwrap()),
        connect_token: Some(Token::new("a key")),
        events_schedule: Some(PERIOD),
        ..Settings::default()
    };
    EventsApp::new(registry, &settings)
}

/// Returns a registry with a schedulable that takes this long, and the seconds at which it begins
/// and ends.
fn scheduled(runtime: Duration) -> (Registry, UnboundedReceiver<(&'static str, u64)>) {
    let (note, notes) = mpsc::unbounded_channel();
    let begin = Instant::now();
    let registry = Registry::new().schedulable("it", "", "", move |_, _| {
        let note = note.clone();
        async move {
            let _ = note.send(("begins", begin.elapsed().as_secs()));
            sleep(runtime).await;
            let _ = note.send(("ends", begin.elapsed().as_secs()));
            Ok(ScheduledExecutionResponse::done())
        }
    });
    (registry, notes)
}

/// Returns a registry with a handler that always asks for another attempt, and the seconds at which
/// it is called.
fn rescheduling() -> (Registry, UnboundedReceiver<u64>) {
    let (note, notes) = mpsc::unbounded_channel();
    let begin = Instant::now();
    let registry = Registry::new().background("order", &["pending"], move |_, _| {
        let _ = note.send(begin.elapsed().as_secs());
        async { Ok(BackgroundResponse::reschedule("not yet")) }
    });
    (registry, notes)
}

/// Receives the next note; `None` if nothing happens for a day.
async fn next<T>(notes: &mut UnboundedReceiver<T>) -> Option<T> {
    let day = Duration::from_secs(24 * 60 * 60);
    timeout(day, notes.recv()).await.ok().flatten()
}

async fn order(client: &TestClient) -> TestExchange {
    let event = json!({"event_type": "order", "data": {"status": "pending"}});
    let response = client.post("/events").json(&event).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    TestExchange::of(&response).clone()
}

#[tokio::test(start_paused = true)]
async fn a_schedulable_runs_at_each_interval_until_shutdown() {
    let (registry, mut notes) = scheduled(Duration::ZERO);
    let lifespan = lifespan::start(app(registry)).await.unwrap().unwrap();
    for at in [60, 120, 180] {
        assert_eq!(next(&mut notes).await, Some(("begins", at)));
        assert_eq!(next(&mut notes).await, Some(("ends", at)));
    }
    lifespan.shutdown().await.unwrap();
    // After the shutdown nothing runs the schedule.
    assert_eq!(next(&mut notes).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_schedulable_never_runs_twice_at_a_time() {
    let (registry, mut notes) = scheduled(Duration::from_secs(150));
    let _lifespan = lifespan::start(app(registry)).await.unwrap().unwrap();
    for at in [60, 240, 420] {
        assert_eq!(next(&mut notes).await, Some(("begins", at)));
        assert_eq!(next(&mut notes).await, Some(("ends", at + 150)));
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_a_schedulable_that_runs() {
    let (registry, mut notes) = scheduled(Duration::from_secs(150));
    let lifespan = lifespan::start(app(registry)).await.unwrap().unwrap();
    assert_eq!(next(&mut notes).await, Some(("begins", 60)));
    lifespan.shutdown().await.unwrap();
    assert_eq!(next(&mut notes).await, Some(("ends", 210)));
    assert_eq!(next(&mut notes).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_tried_again_after_its_countdown_and_five_times_at_most() {
    let (registry, mut notes) = rescheduling();
    let client = TestClient::start(app(registry)).await.unwrap();
    // The call does not wait for later attempts.
    order(&client).await.ended().await.unwrap();
    for at in [0, 30, 60, 90, 120] {
        assert_eq!(next(&mut notes).await, Some(at));
    }
    sleep(Duration::from_secs(10_000)).await;
    notes.try_recv().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_later_attempts() {
    let (registry, mut notes) = rescheduling();
    let begin = Instant::now();
    let client = TestClient::start(app(registry)).await.unwrap();
    order(&client).await.ended().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 0);
    assert_eq!(next(&mut notes).await, Some(0));
    assert_eq!(next(&mut notes).await, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_lifespan_a_job_has_one_attempt() {
    let (registry, mut notes) = rescheduling();
    let client = TestClient::new(app(registry));
    order(&client).await.ended().await.unwrap();
    sleep(Duration::from_secs(10_000)).await;
    assert_eq!(next(&mut notes).await, Some(0));
    notes.try_recv().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_a_504() {
    let registry = Registry::new().interactive("order", &["draft"], |_, _| {
        std::future::pending::<Result<InteractiveResponse, _>>()
    });
    let client =
        TestClient::new(http_errors::handle(app(registry))).timeout(Duration::from_secs(200));
    let begin = Instant::now();
    let event = json!({"event_type": "order", "data": {"status": "draft"}});
    let response = client.post("/events").json(&event).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let answer: Value = response.json().unwrap();
    assert_eq!(answer, json!({"error": "it took longer than 120 s"}));
    assert_eq!(begin.elapsed().as_secs(), 120);
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_task_and_no_other() {
    let registry = Registry::new().interactive("order", &["draft"], async |_, order: Value| {
        assert!(order["size"].is_string(), "an order without a size");
        Ok(InteractiveResponse::done(order))
    });
    let client = TestClient::new(http_errors::handle(app(registry)));
    let mut socket = client.websocket("/ws").connect().await.unwrap();
    let _setup = socket.text().await.unwrap();
    for (size, result) in [(json!(5), "fail"), (json!("m"), "success")] {
        let task = json!({"version": 2, "message_type": "task", "data": {
            "options": {"task_id": "T-1", "task_category": "interactive"},
            "input": {"event_type": "order", "data": {"status": "draft", "size": size}},
        }});
        socket.send_text(task.to_string()).await.unwrap();
        let answer: Value = socket.json().await.unwrap();
        assert_eq!(answer["data"]["output"]["result"], result);
    }
    let order = json!({"event_type": "order", "data": {"status": "draft"}});
    let response = client.post("/events").json(&order).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
