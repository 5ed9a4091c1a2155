use callgate::Message;
use callgate_toolkit::test_client::{Body, ResponseExt, TestExchange};

use crate::client;

#[tokio::test]
async fn content_is_sent_back_as_it_arrives() {
    let client = client("echo");
    let (content, body) = Body::channel();
    let request = client.put("/").header("content-type", "text/x-poem");
    let pending = request.body(body).start();
    content.send("one ").await;
    let mut response = pending.stream().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/x-poem");
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "one ");
    content.send("two ").await;
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "two ");
    content.send("three").await;
    content.finish().await;
    assert_eq!(response.body_mut().rest().await.unwrap(), "three");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn a_request_without_content_is_answered_without_content() {
    let client = client("echo");
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.headers()["content-length"], "0");
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.text(), "");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let client = client("echo");
    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    content.send("one").await;
    let response = pending.stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    exchange.disconnect();
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn messages_are_sent_back_as_they_are() {
    let client = client("echo");
    let mut socket = client.websocket("/").connect().await.unwrap();
    for message in [Message::text("höre"), Message::binary(&b"\x00\xff"[..])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), message);
    }
    socket.disconnect();
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_accepted() {
    let client = client("echo");
    for (offered, accepted) in [(vec!["chat", "soap"], Some("chat")), (vec![], None)] {
        let socket = client.websocket("/").subprotocols(offered);
        assert_eq!(socket.connect().await.unwrap().subprotocol(), accepted);
    }
}
