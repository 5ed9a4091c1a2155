use callgate::{Scope, WebSocketClose};
use http::Method;

use crate::support::{Exchange, app, http_scope, request, websocket_scope};

#[tokio::test]
async fn answers_with_its_scope_as_json() {
    let mut scope = http_scope(Method::GET, "/caf%C3%A9?a=1");
    scope.headers.insert("x-test", "yes".parse().unwrap());
    scope.root_path = "/scope".into();
    let (start, content) = request(&app("scope"), scope.clone()).await;
    assert_eq!(start.headers["content-type"], "application/json");
    let answer: Scope = serde_json::from_str(&content).unwrap();
    assert_eq!(answer, scope.into());
    assert!(
        content.contains("\n  "),
        "it is for people to read: {content}"
    );
}

#[tokio::test]
async fn a_websocket_gets_its_scope_and_is_closed() {
    let scope = websocket_scope("/?a=1");
    let mut exchange = Exchange::start(&app("scope"), scope.clone());
    exchange.next().await;
    let answer: Scope = serde_json::from_str(&exchange.text().await).unwrap();
    assert_eq!(answer, scope.into());
    assert_eq!(
        exchange.next().await,
        Some(WebSocketClose::default().into())
    );
    exchange.ended().await.unwrap();
}
