//! The application `events` over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use callgate_apps::Settings;
use callgate_apps::events::events;
use callgate_toolkit::test_client::{RequestBuilder, ResponseExt, TestClient, TestExchange};
use http::StatusCode;
use serde_json::{Value, json};

use crate::connect::{Connect, RecordedRequest, json_answer, page, status};
use crate::log::Log;

const VARIABLES: &str = "/v1/devops/services/SRVC-1/environments/ENV-1/variables";

/// Starts a Connect with the variable, product `PRD-1` and its template, and some requests.
pub(crate) fn connect() -> Connect {
    Connect::start(answer)
}

fn answer(line: &str) -> Response {
    let (method, target) = line.split_once(' ').unwrap();
    if target == format!("{VARIABLES}/OUT_OF_STOCK_SIZE") {
        return json_answer(json!({"name": "OUT_OF_STOCK_SIZE", "value": "xl"}));
    }
    let templates = "templates?and(eq(scope,asset),eq(type,fulfillment))&limit=1&offset=0";
    match (method, target) {
        ("GET", _) if target == format!("/v1/products/PRD-1/{templates}") => {
            page(json!([{"id": "TL-1"}]), 2)
        }
        ("GET", _) if target == format!("/v1/products/PRD-2/{templates}") => page(json!([]), 0),
        ("GET", "/v1/requests/PR-1") => json_answer(purchase("PR-1", "pending")),
        ("GET", "/v1/requests/PR-2") => json_answer(purchase("PR-2", "approved")),
        ("POST", _) if target.ends_with("/approve") => json_answer(json!({"status": "approved"})),
        ("GET", "/v1/devops/services/SRVC-1/environments/ENV-1/schedules/EFS-1") => {
            json_answer(json!({"id": "EFS-1", "method": "update_stock"}))
        }
        _ if target.starts_with("/v1/products/PRD-500/") => {
            status(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn settings_of(connect: &Connect) -> Settings {
    let mut settings = connect.settings();
    settings.connect_service = Some("SRVC-1".to_owned());
    settings.connect_environment = Some("ENV-1".to_owned());
    settings
}

pub(crate) fn client_of(connect: &Connect) -> TestClient {
    TestClient::new(events(&settings_of(connect)))
}

pub(crate) fn purchase(id: &str, status: &str) -> Value {
    json!({
        "id": id,
        "status": status,
        "asset": {
            "product": {"id": "PRD-1"},
            "params": [{"id": "size", "value": "m"}, {"id": "color", "value": "red"}],
        },
    })
}

pub(crate) fn validation(request: &Value) -> Value {
    json!({"event_type": "asset_purchase_request_validation", "data": request})
}

pub(crate) fn processing(request: &Value) -> Value {
    json!({"event_type": "asset_purchase_request_processing", "data": request})
}

pub(crate) async fn answer_to(request: RequestBuilder<'_>) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().unwrap())
}

async fn post(client: &TestClient, event: &Value) -> (StatusCode, Value) {
    answer_to(client.post("/events").json(event)).await
}

pub(crate) async fn out_of_stock(client: &TestClient) -> String {
    let (answered, variables) = answer_to(client.get("/variables")).await;
    assert_eq!(answered, StatusCode::OK);
    variables["OUT_OF_STOCK_SIZE"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_size_that_is_out_of_stock_gets_an_error_and_any_other_passes() {
    let client = crate::client("events");
    let request = purchase("PR-1", "draft");
    let mut expected = request.clone();
    expected["asset"]["params"][0]["value_error"] = "Sorry, the size m is out of stock".into();
    assert_eq!(
        post(&client, &validation(&request)).await,
        (StatusCode::OK, expected)
    );

    let mut request = request;
    request["asset"]["params"][0]["value"] = "xs".into();
    assert_eq!(
        post(&client, &validation(&request)).await,
        (StatusCode::OK, request)
    );
}

#[tokio::test]
async fn a_purchase_is_approved_after_the_response_with_the_template_of_its_product() {
    let connect = connect();
    let client = client_of(&connect);
    let log = Log::start();
    connect.hold_answers();
    let mut event = processing(&purchase("PR-7", "pending"));
    event["task_id"] = "T-1".into();
    let response = client.post("/events").json(&event).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.json::<Value>().unwrap(), json!({"task_id": "T-1"}));
    let exchange = TestExchange::of(&response);
    connect.wait_for_requests(1).await;
    assert!(!exchange.is_ended());
    connect.release_answers(2);
    exchange.ended().await.unwrap();
    let asked = |line: &str, content| RecordedRequest {
        line: line.to_owned(),
        key: "ApiKey its own".to_owned(),
        content,
    };
    assert_eq!(
        connect.asked(),
        [
            asked(
                "GET /v1/products/PRD-1/templates?and(eq(scope,asset),eq(type,fulfillment))&limit=1&offset=0",
                Value::Null
            ),
            asked(
                "POST /v1/requests/PR-7/approve",
                json!({"template_id": "TL-1"})
            ),
        ]
    );
    assert!(
        log.text().contains("INFO Task T-1: success after 0."),
        "{}",
        log.text()
    );
}

#[tokio::test]
async fn the_object_that_an_event_does_not_have_is_fetched() {
    let connect = connect();
    let client = client_of(&connect);
    for (id, approved) in [("PR-1", true), ("PR-2", false), ("PR-3", false)] {
        let event = json!({"event_type": "asset_purchase_request_processing", "object_id": id});
        let response = client.post("/events").json(&event).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        TestExchange::of(&response).ended().await.unwrap();
        let lines = connect.lines();
        assert!(lines.contains(&format!("GET /v1/requests/{id}")));
        let approve = format!("POST /v1/requests/{id}/approve");
        assert_eq!(lines.contains(&approve), approved, "{id}");
    }
}

#[tokio::test]
async fn events_that_are_not_handled_are_refused_with_the_reason() {
    let connect = connect();
    let client = client_of(&connect);
    let log = Log::start();
    let mut sizeless = purchase("PR-1", "draft");
    sizeless["asset"]["params"] = json!([]);
    let mut listless = purchase("PR-1", "draft");
    listless["asset"]["params"] = json!({"0": {"value": "m"}});
    for (event, reason) in [
        (
            json!({"event_type": "nosuch", "data": {}}),
            "there is no handler for events `nosuch`",
        ),
        (
            validation(&purchase("PR-1", "approved")),
            "the status is `approved`, and those that are handled are: draft",
        ),
        (
            processing(&purchase("PR-1", "draft")),
            "the status is `draft`, and those that are handled are: pending",
        ),
        (
            validation(&json!([])),
            "the status is ``, and those that are handled are: draft",
        ),
        (
            validation(&sizeless),
            "there is no text at /asset/params/0/value",
        ),
        (validation(&listless), "there is no list at /asset/params"),
        (
            json!({"event_type": "asset_purchase_request_validation"}),
            "data is missing",
        ),
        (
            json!({"event_type": "asset_purchase_request_processing"}),
            "data or object_id is missing",
        ),
    ] {
        assert_eq!(
            post(&client, &event).await,
            (StatusCode::UNPROCESSABLE_ENTITY, json!({"error": reason})),
            "{event}"
        );
    }
    log.has("DEBUG POST /events 422: there is no handler for events `nosuch`");
    let text = log.text();
    let is_info = |line: &str| line.trim().starts_with("INFO Task task-");
    let sizeless = text
        .lines()
        .filter(|line| line.contains("/asset/params/0/value"));
    // An error of the sender is not an error of the application.
    assert!(
        sizeless.clone().count() > 0 && sizeless.clone().all(is_info),
        "{text}"
    );
    assert_eq!(connect.asked(), []);
}

#[tokio::test]
async fn wrong_requests_are_refused_in_json_and_the_next_is_served() {
    let client = crate::client("events");
    let log = Log::start();
    let with_type = |content: Vec<u8>| {
        let request = client.post("/events").body(content);
        request.header("content-type", "application/json")
    };
    for (request, expected) in [
        (with_type(b"{".to_vec()), StatusCode::BAD_REQUEST),
        (with_type(b"[]".to_vec()), StatusCode::UNPROCESSABLE_ENTITY),
        (
            with_type(b"{\"event_type\": 5}".to_vec()),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            with_type(b"{\"data\": {}}".to_vec()),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            with_type(vec![b' '; 1024 * 1024 + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            client.post("/events").body("{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (client.get("/nosuch"), StatusCode::NOT_FOUND),
        (client.get("/ws"), StatusCode::NOT_FOUND),
        (client.post("/schedules/nosuch/run"), StatusCode::NOT_FOUND),
        (client.get("/events"), StatusCode::METHOD_NOT_ALLOWED),
        (
            client.get("/schedules/update_stock/run"),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (client.delete("/variables"), StatusCode::METHOD_NOT_ALLOWED),
        (client.post("/"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (answered, answer) = answer_to(request).await;
        assert_eq!(answered, expected, "{answer}");
        let error = answer["error"].as_str().unwrap();
        // The names of types are not for clients.
        assert!(!error.contains("struct"), "{error}");
        let line = format!(" {}: {error}", expected.as_u16());
        assert!(
            log.text().contains(&line),
            "{line} is not in:\n{}",
            log.text()
        );
    }
    assert_eq!(out_of_stock(&client).await, "m");
}

#[tokio::test]
async fn the_stock_is_updated_in_connect_and_in_memory() {
    let connect = connect();
    let client = client_of(&connect);
    let run = || client.post("/schedules/update_stock/run");
    let (answered, output) = answer_to(run()).await;
    assert_eq!(
        (answered, &output["result"]),
        (StatusCode::OK, &json!("success"))
    );
    let size = out_of_stock(&client).await;
    assert!(["xs", "s", "m", "l", "xl"].contains(&&*size));
    let update = &connect.asked()[0];
    assert_eq!(update.line, format!("PUT {VARIABLES}/OUT_OF_STOCK_SIZE"));
    assert_eq!(update.content, json!({"value": size}));

    connect.hold_answers();
    let pending = run().start();
    connect.wait_for_requests(2).await;
    assert_eq!(
        answer_to(run()).await,
        (
            StatusCode::CONFLICT,
            json!({"error": "update_stock is running"})
        )
    );
    connect.release_answers(1);
    assert_eq!(pending.response().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_settings_the_stock_is_in_memory_and_a_stand_in_approves_a_purchase() {
    let client = crate::started("events").await;
    let log = Log::start();
    let mut sizes = BTreeMap::new();
    while sizes.len() < 2 {
        let (answered, output) = answer_to(client.post("/schedules/update_stock/run")).await;
        assert_eq!(
            (answered, &output["result"]),
            (StatusCode::OK, &json!("success"))
        );
        sizes.insert(out_of_stock(&client).await, ());
    }
    for event in [
        processing(&purchase("PR-1", "pending")),
        json!({"event_type": "asset_purchase_request_processing", "object_id": "PR-2"}),
    ] {
        let response = client.post("/events").json(&event).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        TestExchange::of(&response).ended().await.unwrap();
    }
    let text = log.text();
    let tasks = text.lines().filter(|line| line.contains("INFO Task "));
    let approved = tasks.filter(|line| line.contains(": success after 0."));
    assert_eq!(approved.count(), 2, "{text}");
    let notice = "answers for the marketplace (CloudBlue Connect)";
    assert_eq!(text.matches(notice).count(), 1, "{text}");
    // A product that is not there fails the task.
    let mut unknown = purchase("PR-1", "pending");
    unknown["asset"]["product"]["id"] = "PRD-9".into();
    let request = client.post("/events").json(&processing(&unknown));
    let response = request.send().await.unwrap();
    TestExchange::of(&response).ended().await.unwrap();
    let failure = "fail after 0.";
    assert_eq!(log.text().matches(failure).count(), 1, "{}", log.text());
}

#[tokio::test]
async fn with_a_url_and_no_key_a_background_event_is_refused_with_the_setting() {
    let mut settings = connect().settings();
    settings.connect_token = None;
    let client = TestClient::new(events(&settings));
    assert_eq!(
        post(&client, &processing(&purchase("PR-1", "pending"))).await,
        (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"error": "this is not set up: it needs `CONNECT_TOKEN` in the environment"})
        )
    );
}

#[tokio::test]
async fn variables_are_fetched_at_start_up() {
    let connect = connect();
    let client = client_of(&connect).with_lifespan().await.unwrap();
    assert_eq!(
        connect.lines(),
        [format!("GET {VARIABLES}/OUT_OF_STOCK_SIZE")]
    );
    assert_eq!(out_of_stock(&client).await, "xl");
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn variables_that_connect_does_not_have_are_created_at_start_up() {
    let connect = Connect::start(|line: &str| match line.starts_with("POST ") {
        true => status(StatusCode::CREATED),
        false => status(StatusCode::NOT_FOUND),
    });
    let client = client_of(&connect).with_lifespan().await.unwrap();
    let created = &connect.asked()[1];
    assert_eq!(created.line, format!("POST {VARIABLES}"));
    let variable = json!({"name": "OUT_OF_STOCK_SIZE", "initial_value": "m", "secure": false});
    assert_eq!(created.content, variable);
    assert_eq!(out_of_stock(&client).await, "m");
}

#[tokio::test(start_paused = true)]
async fn when_connect_is_down_at_start_up_events_are_handled_and_variables_fetched_later() {
    // The paused clock does not advance by itself while a thread for blocking work is busy.
    let (done, busy) = std::sync::mpsc::channel::<()>();
    let busy = tokio::task::spawn_blocking(move || busy.recv());
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let asked = std::sync::Arc::new(asked);
    let connect = Connect::start(move |line: &str| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => status(StatusCode::BAD_GATEWAY),
            _ => answer(line),
        }
    });
    let log = Log::start();
    let client = client_of(&connect).with_lifespan().await.unwrap();
    assert_eq!(out_of_stock(&client).await, "m");
    assert!(log.text().contains(
        "are fetched again in 5 s: the marketplace (CloudBlue Connect): it answered with status 502"
    ));
    // Idle connections end when the clock advances, so another attempt may be needed.
    let mut failures = 0;
    let begin = std::time::Instant::now();
    while out_of_stock(&client).await == "m" {
        let now = log.text().matches("are fetched again in").count();
        if now > failures {
            failures = now;
            tokio::time::advance(Duration::from_secs(300)).await;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{}", log.text());
        tokio::task::yield_now().await;
    }
    assert_eq!(out_of_stock(&client).await, "xl");
    drop(done);
    busy.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn when_connect_fails_the_stock_is_unchanged() {
    let connect = Connect::start(|_: &str| status(StatusCode::FORBIDDEN));
    let client = client_of(&connect);
    assert_eq!(
        answer_to(client.post("/schedules/update_stock/run")).await,
        (
            StatusCode::BAD_GATEWAY,
            json!({"error": "the marketplace (CloudBlue Connect): it answered with status 403"})
        )
    );
    assert_eq!(out_of_stock(&client).await, "m");

    connect.hold_answers();
    let mut settings = settings_of(&connect);
    settings.connect_timeout = Some(Duration::from_millis(50));
    let client = TestClient::new(events(&settings));
    let (answered, answer) = answer_to(client.post("/schedules/update_stock/run")).await;
    assert_eq!(answered, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        answer,
        json!({"error": "the marketplace (CloudBlue Connect): it did not answer in time"})
    );
}

#[tokio::test]
async fn the_root_describes_the_registry() {
    let (answered, registered) = answer_to(crate::client("events").get("/")).await;
    assert_eq!(answered, StatusCode::OK);
    let subscriptions = json!({
        "asset_purchase_request_processing": ["pending"],
        "asset_purchase_request_validation": ["draft"],
    });
    assert_eq!(registered["event_subscriptions"], subscriptions);
    let variables = json!([{"name": "OUT_OF_STOCK_SIZE", "initial_value": "m"}]);
    assert_eq!(registered["variables"], variables);
    assert_eq!(registered["schedulables"][0]["method"], "update_stock");
    assert_eq!(registered["schedulables"][0]["name"], "Update stock");
}
