//! The WebSocket of `events`: it receives tasks and sends results.

use std::collections::BTreeMap;

use callgate_toolkit::test_client::{ResponseExt, TestClient, TestWebSocket};
use http::StatusCode;
use serde_json::{Value, json};

use crate::events::{
    answer_to, client_of, connect, out_of_stock, processing, purchase, validation,
};
use crate::log::Log;

/// Opens a WebSocket and receives its setup request.
async fn socket_of(client: &TestClient) -> TestWebSocket {
    let mut socket = client.websocket("/ws").connect().await.unwrap();
    let setup: Value = socket.json().await.unwrap();
    assert_eq!(setup["message_type"], "setup_request");
    assert_eq!(setup["version"], 2);
    let subscriptions = &setup["data"]["event_subscriptions"];
    assert_eq!(
        subscriptions["asset_purchase_request_validation"],
        json!(["draft"])
    );
    socket
}

async fn send(socket: &TestWebSocket, message_type: &str, data: &Value) {
    let message = json!({"version": 2, "message_type": message_type, "data": data});
    socket.send_text(message.to_string()).await.unwrap();
}

async fn send_task(socket: &TestWebSocket, id: &str, category: &str, input: &Value) {
    let options = json!({
        "task_id": id,
        "task_category": category,
        "correlation_id": "C-1",
        "api_key": "a secret",
    });
    send(socket, "task", &json!({"options": options, "input": input})).await;
}

/// Receives the next result: the ID of the task and its output.
async fn result(socket: &mut TestWebSocket) -> (String, Value) {
    let mut message: Value = socket.json().await.unwrap();
    assert_eq!(message["message_type"], "task", "{message}");
    let options = message["data"]["options"].take();
    assert_eq!(options["correlation_id"], "C-1");
    assert_eq!(options["api_key"], Value::Null);
    let id = options["task_id"].as_str().unwrap().to_owned();
    (id, message["data"]["output"].take())
}

#[tokio::test]
async fn tasks_of_a_websocket_are_answered_as_they_are_ready() {
    let connect = connect();
    let client = client_of(&connect);
    let mut socket = socket_of(&client).await;
    connect.hold_answers();
    let processing = processing(&purchase("PR-7", "pending"));
    send_task(&socket, "slow", "background", &processing).await;
    connect.wait_for_requests(1).await;
    let draft = purchase("PR-8", "draft");
    send_task(&socket, "quick", "interactive", &validation(&draft)).await;

    let (id, output) = result(&mut socket).await;
    let mut expected = draft;
    expected["asset"]["params"][0]["value_error"] = "Sorry, the size m is out of stock".into();
    assert_eq!((&*id, &output["result"]), ("quick", &json!("success")));
    assert_eq!(
        output["data"],
        json!({"http_status": 200, "body": expected})
    );
    connect.release_answers(2);
    let (id, output) = result(&mut socket).await;
    assert_eq!((&*id, &output["result"]), ("slow", &json!("success")));
    assert!(output["runtime"].as_f64().unwrap() > 0.0);
    assert_eq!(connect.lines()[1], "POST /v1/requests/PR-7/approve");
}

#[tokio::test]
async fn a_websocket_has_at_most_32_tasks_worked_on_at_a_time() {
    let connect = connect();
    let client = client_of(&connect);
    let mut socket = socket_of(&client).await;
    connect.hold_answers();
    for number in 0..40 {
        let request = purchase(&format!("PR-{number}"), "pending");
        send_task(
            &socket,
            &number.to_string(),
            "background",
            &processing(&request),
        )
        .await;
    }
    connect.wait_for_requests(32).await;
    connect.release_answers(80);
    let mut done = BTreeMap::new();
    for _ in 0..40 {
        let (id, output) = result(&mut socket).await;
        done.insert(id, output["result"].clone());
    }
    assert_eq!(done.len(), 40);
    assert!(done.values().all(|result| result == "success"));
    assert_eq!(connect.most_at_once(), 32);
}

#[tokio::test]
async fn tasks_that_fail_are_answered_with_the_reason_and_the_websocket_goes_on() {
    let connect = connect();
    let client = client_of(&connect);
    let mut socket = socket_of(&client).await;
    let product = |id: &str| {
        let mut request = purchase("PR-7", "pending");
        request["asset"]["product"]["id"] = id.into();
        processing(&request)
    };
    let mut sizeless = purchase("PR-1", "draft");
    sizeless["asset"]["params"] = json!([]);
    for (category, input, result_type, message, countdown) in [
        (
            "background",
            json!({"event_type": "nosuch", "data": {}}),
            "skip",
            "there is no handler for events `nosuch`",
            0,
        ),
        (
            "background",
            processing(&purchase("PR-1", "approved")),
            "skip",
            "the status is `approved`, and those that are handled are: pending",
            0,
        ),
        (
            "background",
            product("PRD-2"),
            "fail",
            "product PRD-2 has no template for fulfillment",
            0,
        ),
        (
            "background",
            product("PRD-404"),
            "fail",
            "the marketplace (CloudBlue Connect): it answered with status 404",
            0,
        ),
        (
            "background",
            product("PRD-500"),
            "reschedule",
            "the marketplace (CloudBlue Connect): it answered with status 500",
            30,
        ),
        (
            "interactive",
            validation(&sizeless),
            "fail",
            "there is no text at /asset/params/0/value",
            0,
        ),
        (
            "scheduled",
            json!({"event_type": "scheduled_execution", "data": {"method": "nosuch"}}),
            "fail",
            "there is no schedulable `nosuch`",
            0,
        ),
        (
            "scheduled",
            json!({"event_type": "scheduled_execution", "data": {}}),
            "fail",
            "the schedule does not say its method",
            0,
        ),
    ] {
        send_task(&socket, "T-1", category, &input).await;
        let (_, output) = result(&mut socket).await;
        assert_eq!(output["result"], result_type, "{output}");
        assert_eq!(output["message"], message);
        assert_eq!(output["countdown"], countdown);
        if category == "interactive" {
            assert_eq!(
                output["data"],
                json!({"http_status": 422, "body": {"error": message}})
            );
        }
    }
}

#[tokio::test]
async fn messages_that_make_no_sense_are_answered_and_the_websocket_goes_on() {
    let client = crate::client("events");
    let mut socket = socket_of(&client).await;
    let log = Log::start();
    for (text, reason) in [
        ("Hello!", "not a message: "),
        (
            "[]",
            "not a message: invalid type: sequence, expected an object",
        ),
        (
            "{\"message_type\": \"shout\"}",
            "messages of type `shout` are not supported",
        ),
        (
            "{\"message_type\": \"task\"}",
            "not a task: invalid type: null, expected an object",
        ),
        (
            "{\"message_type\": \"task\", \"data\": {\"options\": 5}}",
            "not a task: invalid type: integer `5`, expected an object",
        ),
        (
            "{\"message_type\": \"task\", \"data\": {\"options\": {\"task_id\": \"T-1\", \
             \"task_category\": \"nosuch\"}, \"input\": {\"event_type\": \"a\"}}}",
            "not a task: unknown variant `nosuch`",
        ),
        (
            "{\"message_type\": \"setup_response\", \"data\": 5}",
            "not a setup_response: invalid type: integer `5`, expected an object",
        ),
    ] {
        socket.send_text(text).await.unwrap();
        let answer: Value = socket.json().await.unwrap();
        assert_eq!(answer["message_type"], "error");
        let message = answer["data"]["message"].as_str().unwrap();
        assert!(message.starts_with(reason), "{message}");
        let line = format!("A message was refused: {message}");
        assert!(log.text().contains(&line), "{}", log.text());
    }
    socket.send_binary(&b"\xff"[..]).await.unwrap();
    let answer: Value = socket.json().await.unwrap();
    assert_eq!(
        answer["data"]["message"],
        "not a message: messages are texts"
    );
    send_task(
        &socket,
        "T-1",
        "interactive",
        &validation(&purchase("PR-1", "draft")),
    )
    .await;
    assert_eq!(result(&mut socket).await.1["result"], "success");
}

#[tokio::test]
async fn tasks_of_a_websocket_are_finished_after_it_is_closed() {
    let connect = connect();
    let client = client_of(&connect);
    let socket = socket_of(&client).await;
    connect.hold_answers();
    let input = processing(&purchase("PR-7", "pending"));
    send_task(&socket, "T-1", "background", &input).await;
    connect.wait_for_requests(1).await;
    socket.disconnect();
    connect.release_answers(2);
    socket.exchange().ended().await.unwrap();
    assert_eq!(connect.lines()[1], "POST /v1/requests/PR-7/approve");
}

#[tokio::test]
async fn a_websocket_sets_variables_and_runs_schedulables() {
    let connect = connect();
    let client = client_of(&connect);
    let mut socket = socket_of(&client).await;
    let variables = json!({"variables": [
        {"name": "OUT_OF_STOCK_SIZE", "value": "none", "secure": false},
        {"name": "OTHER", "value": "a", "secure": false},
    ]});
    send(&socket, "setup_response", &variables).await;
    for input in [
        json!({"event_type": "scheduled_execution", "data": {"method": "update_stock"}}),
        json!({"event_type": "scheduled_execution", "object_id": "EFS-1"}),
    ] {
        let is_named = input["data"].is_object();
        if is_named {
            let draft = validation(&purchase("PR-1", "draft"));
            send_task(&socket, "T-0", "interactive", &draft).await;
            assert_eq!(result(&mut socket).await.1["result"], "success");
            assert_eq!(out_of_stock(&client).await, "none");
        }
        send_task(&socket, "T-1", "scheduled", &input).await;
        assert_eq!(result(&mut socket).await.1["result"], "success");
        let size = out_of_stock(&client).await;
        assert_ne!(size, "none");
        assert_eq!(
            connect.asked().last().unwrap().content,
            json!({"value": size})
        );
    }
    let variables = answer_to(client.get("/variables")).await.1;
    assert_eq!(variables.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn there_is_no_other_websocket() {
    let client = crate::client("events");
    let log = Log::start();
    let refused = client.websocket("/events").connect().await.unwrap_err();
    let response = refused.response().unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let answer: Value = response.json().unwrap();
    assert_eq!(answer, json!({"error": "there is nothing at this path"}));
    log.has("DEBUG WebSocket /events 404: there is nothing at this path");
}
