use callgate_toolkit::test_client::{Failure, ResponseExt, TestClient, TestExchange};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::log::Log;
use crate::{app, client};

#[tokio::test]
async fn it_answers_with_hello_as_plain_text() {
    let response = client("hello").get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "text/plain; charset=utf-8");
    assert_eq!(response.text(), "Hello, world!\n");
}

#[tokio::test]
async fn methods_other_than_get_and_head_are_refused_in_json_and_logged() {
    for name in ["time", "scope", "counter", "chat", "gallery"] {
        let client = client(name);
        let log = Log::start();
        let response = client.post("/").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{name}");
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        let reason = "only these methods are served here: GET, HEAD";
        let answer: Value = response.json().unwrap();
        assert_eq!(answer, json!({ "error": reason }), "{name}");
        log.has(&format!("DEBUG POST / 405: {reason}"));

        let response = client.method(Method::HEAD, "/").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.text(), "");
    }
}

#[tokio::test]
async fn scopes_that_are_not_served_are_declined() {
    for name in ["hello", "time"] {
        let refused = client(name).websocket("/").connect().await.unwrap_err();
        let response = refused.response().unwrap();
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED, "{name}");
        let ended = TestExchange::of(&response).ended().await;
        assert!(matches!(ended, Err(Failure::Declined)), "{name}");
    }
    for name in ["hello", "echo", "time", "scope"] {
        let client = TestClient::start(app(name)).await.unwrap();
        assert!(client.lifespan().is_none(), "{name}");
    }
}
