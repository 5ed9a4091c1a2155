//! The header fields that a client adds to each request.

use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketAccept};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt, TestClient};
use http::HeaderMap;

/// Responds with the header fields that the tests are about.
async fn describe(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    fn show(headers: &HeaderMap) -> String {
        let fields = ["host", "x-api-key", "accept"].map(|name| {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            format!("{name} {values:?}")
        });
        fields.join(", ")
    }
    match scope {
        Scope::Http(scope) => {
            respond::text(show(&scope.headers)).send(&sender).await?;
        }
        Scope::WebSocket(scope) => {
            sender.send(WebSocketAccept::new()).await?;
            sender.send(Message::text(show(&scope.headers))).await?;
        }
        _ => return Err(AppError::Unsupported),
    }
    Ok(())
}

#[tokio::test]
async fn the_fields_of_the_client_go_with_each_request_that_does_not_set_them_itself() {
    let client = TestClient::new(describe)
        .header("x-api-key", "secret")
        .header("accept", "text/html")
        .header("accept", "text/plain");
    let all = r#"host ["localhost"], x-api-key ["secret"], accept ["text/html", "text/plain"]"#;
    for _ in 0..2 {
        let response = client.get("/").send().await.unwrap();
        assert_eq!(response.text(), all);
    }
    let response = client.get("/").header("Accept", "*/*").send();
    assert_eq!(
        response.await.unwrap().text(),
        r#"host ["localhost"], x-api-key ["secret"], accept ["*/*"]"#
    );
    let request = http::Request::put("/").header("x-api-key", "other");
    let response = client.request(request.body("hi").unwrap()).send().await;
    assert_eq!(
        response.unwrap().text(),
        r#"host ["localhost"], x-api-key ["other"], accept ["text/html", "text/plain"]"#
    );
}

#[tokio::test]
async fn the_fields_of_the_client_go_with_each_handshake_that_does_not_set_them_itself() {
    let client = TestClient::new(describe).header("x-api-key", "secret");
    let mut websocket = client.websocket("/").connect().await.unwrap();
    assert_eq!(
        websocket.text().await.unwrap(),
        r#"host ["localhost"], x-api-key ["secret"], accept []"#
    );
    let handshake = client.websocket("/").header("x-api-key", "other");
    let mut websocket = handshake.connect().await.unwrap();
    assert_eq!(
        websocket.text().await.unwrap(),
        r#"host ["localhost"], x-api-key ["other"], accept []"#
    );
}

#[tokio::test]
async fn the_host_of_the_client_is_that_of_targets_without_one() {
    let client = TestClient::new(describe).header("host", "shop.test");
    for (target, host) in [("/", "shop.test"), ("http://api.test:1/", "api.test:1")] {
        let response = client.get(target).send().await.unwrap();
        let described = format!(r#"host ["{host}"], x-api-key [], accept []"#);
        assert_eq!(response.text(), described);
    }
}

#[test]
#[should_panic(expected = "has a control character")]
fn an_invalid_field_of_the_client_panics_at_once() {
    let _ = TestClient::new(describe).header("x-api-key", "a\r\nb: c");
}
