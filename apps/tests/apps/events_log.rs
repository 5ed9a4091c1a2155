//! The log of `events` when Connect cannot be reached.

use callgate_apps::events::events;
use callgate_apps::{Settings, Token};
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use http::StatusCode;
use serde_json::{Value, json};

use crate::events::{processing, purchase};
use crate::log::Log;

/// Returns settings for a Connect at a port without a listener.
fn unreachable_connect() -> Settings {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let mut settings = Settings::default();
    settings.connect_url = Some(url.parse().unwrap());
    settings.connect_token = Some(Token::new("a key"));
    settings.connect_service = Some("SRVC-1".to_owned());
    settings.connect_environment = Some("ENV-1".to_owned());
    settings
}

/// Fails unless a line of the log begins with `start` and names the cause: a refused connection.
#[track_caller]
fn assert_cause_is_logged(log: &Log, start: &str) {
    let text = log.text();
    let is_cause = |line: &str| line.trim().starts_with(start) && line.contains("refused");
    assert!(text.lines().any(is_cause), "{start:?} in:\n{text}");
}

#[tokio::test]
async fn the_log_names_the_cause_when_connect_cannot_be_reached_and_the_client_is_not_told() {
    let log = Log::start();
    let client = TestClient::new(events(&unreachable_connect()));
    let client = client.with_lifespan().await.unwrap();
    let reason = "the marketplace (CloudBlue Connect): it cannot be reached";
    assert_cause_is_logged(
        &log,
        &format!("WARN The variables of `events` are fetched again in 5 s: {reason}: "),
    );

    let mut event = processing(&purchase("PR-7", "pending"));
    event["task_id"] = "T-1".into();
    let response = client.post("/events").json(&event).send().await.unwrap();
    TestExchange::of(&response).ended().await.unwrap();
    assert_cause_is_logged(&log, "WARN Task T-1: reschedule after 0.");

    let mut socket = client.websocket("/ws").connect().await.unwrap();
    let _setup: Value = socket.json().await.unwrap();
    let task = json!({"version": 2, "message_type": "task", "data": {
        "options": {"task_id": "T-2", "task_category": "background"},
        "input": processing(&purchase("PR-7", "pending")),
    }});
    socket.send_text(task.to_string()).await.unwrap();
    let answer: Value = socket.json().await.unwrap();
    assert_eq!(answer["data"]["output"]["message"], reason);
    assert_cause_is_logged(&log, "WARN Task T-2: reschedule after 0.");

    let response = client.post("/schedules/update_stock/run").send();
    let response = response.await.unwrap();
    assert_eq!(response.json::<Value>().unwrap(), json!({"error": reason}));
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    let failure = failure.to_string();
    assert!(
        failure.contains(reason) && failure.contains("refused"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_id_of_a_task_makes_no_line_of_its_own_in_the_log() {
    let log = Log::start();
    let client = TestClient::new(events(&unreachable_connect()));
    let event = json!({
        "event_type": "asset_purchase_request_processing",
        "object_id": "PR-1",
        "task_id": "T-1\nERROR all is lost\u{202e}",
    });
    let response = client.post("/events").json(&event).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    TestExchange::of(&response).ended().await.unwrap();
    let task = r"Task T-1\nERROR all is lost\u{202e}";
    log.has(&format!("ERROR {task} is given up after 1 attempts"));
    let text = log.text();
    assert!(text.contains(&format!("WARN {task}: reschedule")), "{text}");
    assert!(!text.contains("\nERROR all is lost"), "{text}");
}
