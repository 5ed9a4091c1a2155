use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{Socket, TestServer, http_client, websocket};

async fn line(socket: &mut Socket) -> Value {
    let line = socket.next().await.unwrap().unwrap();
    serde_json::from_str(line.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn each_message_is_answered() {
    let server = TestServer::start("chat");
    let mut socket = websocket(&server, "/ws").await;
    for text in ["Hello", "", "höre"] {
        socket.send(Message::text(text)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::text(format!("Message received: {text}")));
    }
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn a_room_is_shared_and_guests_may_leave_without_a_close_frame() {
    let server = TestServer::start("chat");
    let mut first = websocket(&server, "/room/ws").await;
    let welcome = json!({ "type": "welcome", "guest": 1, "guests": [1] });
    assert_eq!(line(&mut first).await, welcome);
    let mut second = websocket(&server, "/room/ws").await;
    let joined = json!({ "type": "joined", "guest": 2 });
    assert_eq!(line(&mut first).await, joined);
    second.send(Message::text("Hello")).await.unwrap();
    let message = json!({ "type": "message", "guest": 2, "text": "Hello" });
    assert_eq!(line(&mut first).await, message);
    drop(second);
    let left = json!({ "type": "left", "guest": 2 });
    assert_eq!(line(&mut first).await, left);
    drop(first);
    server.stop().await;
}

#[tokio::test]
async fn the_page_is_served_and_other_paths_are_errors_in_json() {
    let server = TestServer::start("chat");
    let page = http_client::get(server.url("/room")).await.unwrap();
    assert_eq!(page.url().path(), "/room/");
    assert!(page.text().await.unwrap().contains("data-mode=\"room\""));
    let missing = http_client::get(server.url("/nowhere")).await.unwrap();
    assert_eq!(missing.status(), 404);
    let error: Value = missing.json().await.unwrap();
    assert_eq!(error, json!({ "error": "there is nothing at this path" }));
    server.stop().await;
}
