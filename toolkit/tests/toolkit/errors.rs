use callgate::{AppError, HttpResponseStart, Receiver, Scope, Sender};
use callgate_toolkit::errors::{HttpError, handle};
use callgate_toolkit::read;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Body, Failure, ResponseExt, TestClient, TestExchange};
use http::StatusCode;
use serde_json::{Value, json};

/// Fails as its path says.
async fn fails(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    match scope.raw_path() {
        "/missing" => Err(HttpError::new(StatusCode::NOT_FOUND, "there is no order 7").into()),
        "/elsewhere" => {
            let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "only GET");
            Err(error.header("allow", "GET").into())
        }
        "/upstream" => {
            let error = HttpError::new(StatusCode::BAD_GATEWAY, "the shop does not answer");
            Err(error.source("connection to 10.0.0.1 refused").into())
        }
        "/read" => {
            let number: u8 = read::json(&scope, &mut receiver, 10).await?;
            respond::json(&number)?.send(&sender).await
        }
        "/started" => {
            sender.send(HttpResponseStart::ok()).await?;
            Err(HttpError::new(StatusCode::NOT_FOUND, "too late").into())
        }
        "/violation" => {
            sender
                .send(HttpResponseStart::new(StatusCode::CONTINUE))
                .await?;
            Ok(())
        }
        "/declined" => Err(AppError::Unsupported),
        _ => Err(AppError::failed("the password is 1234")),
    }
}

#[tokio::test]
async fn a_failed_call_is_answered_with_json_and_its_status() {
    let client = TestClient::new(handle(fails));
    for (path, status, error, is_reported) in [
        ("/missing", 404, "there is no order 7", false),
        (
            "/read",
            415,
            "the content has no `content-type`, which must be `application/json`",
            false,
        ),
        ("/upstream", 502, "the shop does not answer", true),
        ("/", 500, "the request could not be served", true),
    ] {
        let response = client.post(path).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.json::<Value>().unwrap(), json!({ "error": error }));
        let ended = TestExchange::of(&response).ended().await;
        assert_eq!(
            matches!(ended, Err(Failure::Error(_))),
            is_reported,
            "{path}"
        );
    }
    let response = client.post("/elsewhere").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET");
    assert_eq!(response.headers()["content-type"], "application/json");
    let response = client.post("/read").json(&7).send().await.unwrap();
    assert_eq!(response.json::<u8>().unwrap(), 7);
}

#[tokio::test]
async fn started_declined_and_broken_calls_are_left_to_the_server() {
    let client = TestClient::new(handle(fails)).allow_violations(true);
    for (path, status) in [("/started", 500), ("/violation", 500), ("/declined", 501)] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        let exchange = TestExchange::of(&response);
        exchange.ended().await.unwrap_err();
        // Nothing was tried that cannot be.
        let is_broken = exchange.violation().is_some();
        assert_eq!(is_broken, path == "/violation", "{path}");
    }
    let (content, body) = Body::channel();
    let request = client
        .post("/read")
        .header("content-type", "application/json");
    let pending = request.body(body).start();
    drop(content);
    pending.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_failure_is_a_response_where_a_websocket_is_denied() {
    let client = TestClient::new(async |scope: Scope, _: Receiver, sender: Sender| {
        assert!(matches!(scope, Scope::WebSocket(_)));
        let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "the room is full");
        let response = error.header("retry-after", "10").response();
        response.deny(&sender).await
    });
    let denied = client.websocket("/").connect().await.unwrap_err();
    let response = denied.response().unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "10");
    let error: Value = response.json().unwrap();
    assert_eq!(error, json!({ "error": "the room is full" }));
}
