use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::connect::{Connect, json_answer, page, status};
use crate::{TestServer, app, http_client, websocket};

fn connect() -> Connect {
    Connect::start(|line: &str| {
        if line.contains("/templates?") {
            page(json!([{"id": "TL-1"}]), 1)
        } else if line.ends_with("/approve") {
            json_answer(json!({}))
        } else {
            status(StatusCode::NOT_FOUND)
        }
    })
}

fn purchase(status: &str) -> Value {
    json!({
        "id": "PR-1",
        "status": status,
        "asset": {"product": {"id": "PRD-1"}, "params": [{"value": "m"}]},
    })
}

#[tokio::test]
async fn events_are_handled_over_http_alone_and_in_the_gallery_and_shutdown_waits_for_them() {
    for (name, path) in [("events", "/events"), ("gallery", "/events/events")] {
        let connect = connect();
        let server = TestServer::app(app(name, &connect.settings()));
        let client = http_client::new();
        let post = async |event: Value| {
            let response = client
                .post(server.url(path))
                .json(&event)
                .send()
                .await
                .unwrap();
            (
                response.status().as_u16(),
                response.json::<Value>().await.unwrap(),
            )
        };
        let (status, _) = post(json!({"event_type": "nosuch"})).await;
        assert_eq!(status, 422);
        let event_type = "asset_purchase_request_validation";
        let (status, answer) =
            post(json!({"event_type": event_type, "data": purchase("draft")})).await;
        assert_eq!(status, 200);
        let error = &answer["asset"]["params"][0]["value_error"];
        assert_eq!(error, "Sorry, the size m is out of stock");

        connect.hold_answers();
        let event_type = "asset_purchase_request_processing";
        let (status, _) =
            post(json!({"event_type": event_type, "data": purchase("pending")})).await;
        assert_eq!(status, 202);
        connect.wait_for_requests(1).await;
        connect.release_answers(2);
        server.stop().await;
        assert_eq!(connect.lines()[1], "POST /v1/requests/PR-1/approve");
    }
}

#[tokio::test]
async fn events_are_handled_over_a_websocket_alone_and_in_the_gallery() {
    for (name, path) in [("events", "/ws"), ("gallery", "/events/ws")] {
        let connect = connect();
        let server = TestServer::app(app(name, &connect.settings()));
        let mut socket = websocket(&server, path).await;
        let mut next = async |sent: Option<Value>| {
            if let Some(message) = sent {
                socket
                    .send(Message::text(message.to_string()))
                    .await
                    .unwrap();
            }
            let message = socket.next().await.unwrap().unwrap();
            serde_json::from_str::<Value>(message.to_text().unwrap()).unwrap()
        };
        assert_eq!(next(None).await["message_type"], "setup_request");
        assert_eq!(next(Some(json!("?"))).await["message_type"], "error");
        let task = json!({"version": 2, "message_type": "task", "data": {
            "options": {"task_id": "T-1", "task_category": "background"},
            "input": {
                "event_type": "asset_purchase_request_processing",
                "data": purchase("pending"),
            },
        }});
        let answer = next(Some(task)).await;
        assert_eq!(answer["data"]["options"]["task_id"], "T-1");
        assert_eq!(answer["data"]["output"]["result"], "success");
        assert_eq!(connect.lines()[1], "POST /v1/requests/PR-1/approve");
        socket.close(None).await.unwrap();
        server.stop().await;
    }
}
