use callgate::transcript::{Entry, Transcript};
use callgate::{Scope, WebSocketClose};
use callgate_toolkit::test_client::{ResponseExt, TestExchange};

use crate::client;

/// Returns the scope with which the application was called.
fn called(transcript: &Transcript) -> &Scope {
    match &transcript.entries()[0] {
        Entry::Called(scope) => scope,
        other => panic!("not called: {other}"),
    }
}

#[tokio::test]
async fn answers_with_its_scope_as_json() {
    let client = client("scope").root_path("/scope");
    let request = client.get("/caf%C3%A9?a=1").header("x-test", "yes");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let answer: Scope = response.json().unwrap();
    assert_eq!(answer, *called(&TestExchange::of(&response).transcript()));
    assert!(
        response.text().contains("\n  "),
        "it is for people to read: {}",
        response.text()
    );
}

#[tokio::test]
async fn a_websocket_gets_its_scope_and_is_closed() {
    let client = client("scope");
    let mut socket = client.websocket("/?a=1").connect().await.unwrap();
    let answer: Scope = socket.json().await.unwrap();
    assert_eq!(answer, *called(&socket.exchange().transcript()));
    assert_eq!(socket.closed().await.unwrap(), WebSocketClose::default());
    socket.exchange().ended().await.unwrap();
}
