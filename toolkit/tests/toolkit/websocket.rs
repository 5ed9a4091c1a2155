use callgate::{
    AppError, Feature, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose,
};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient, TestExchange};
use callgate_toolkit::websocket::WebSocketUpgrade;
use futures_util::{SinkExt, StreamExt as _};
use http::StatusCode;

/// Does as its path says.
async fn app(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_websocket()?;
    let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
    match scope.raw_path() {
        "/refuse" => upgrade.refuse().await?,
        "/deny" => {
            let response = respond::text("who are you?").status(StatusCode::UNAUTHORIZED);
            upgrade.deny(response).await?;
        }
        "/socket" => {
            let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
            while let Some(message) = socket.receive().await {
                socket.send(message).await?;
            }
            assert_eq!(socket.disconnect().unwrap().code, 4000);
            assert_eq!(socket.receive().await, None);
        }
        "/stream" => {
            let socket = upgrade.accept(WebSocketAccept::new()).await?;
            let (incoming, outgoing) = socket.split();
            incoming.map(Ok).forward(outgoing).await?;
        }
        "/split" => {
            let socket = upgrade.accept(WebSocketAccept::new()).await?;
            let (mut incoming, outgoing) = socket.split();
            let other = outgoing.clone();
            let task = tokio::spawn(async move { other.send(Message::text("of a task")).await });
            let message = incoming.receive().await;
            assert_eq!(message, Some(Message::text("go on")));
            task.await??;
            outgoing.close(WebSocketClose::new(4001)).await?;
            assert_eq!(incoming.receive().await, None);
            assert_eq!(incoming.disconnect().unwrap().code, 4001);
        }
        _ => {
            let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
            // Closing the sink closes the WebSocket after the messages that it holds.
            socket.feed(Message::text("last")).await?;
            SinkExt::close(&mut socket).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_handshake_is_refused_or_denied_as_the_server_allows() {
    let client = TestClient::new(app);
    let status = async |path, is_offered: bool| {
        let socket = client.websocket(path).with_scope(|scope| {
            if !is_offered {
                scope.features = scope.features.without(Feature::DenialResponse);
            }
        });
        let response = socket.connect().await.unwrap_err().response().unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        (response.status().as_u16(), response.text().to_owned())
    };
    assert_eq!(status("/refuse", true).await, (403, "Forbidden".into()));
    assert_eq!(status("/deny", true).await, (401, "who are you?".into()));
    assert_eq!(status("/deny", false).await, (403, "Forbidden".into()));
}

#[tokio::test]
async fn a_session_receives_until_the_websocket_is_over() {
    let client = TestClient::new(app);
    let mut socket = client.websocket("/socket").connect().await.unwrap();
    socket.send_text("hi").await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "hi");
    socket.close(WebSocketClose::new(4000));
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_session_is_a_stream_and_a_sink() {
    let client = TestClient::new(app).queue_capacity(1);
    let mut socket = client.websocket("/stream").connect().await.unwrap();
    for text in ["one", "two", "three"] {
        socket.send_text(text).await.unwrap();
        assert_eq!(socket.text().await.unwrap(), text);
    }
    socket.disconnect();
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn both_halves_of_a_session_go_to_tasks_of_their_own() {
    let client = TestClient::new(app);
    let mut socket = client.websocket("/split").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "of a task");
    socket.send_text("go on").await.unwrap();
    assert_eq!(socket.closed().await.unwrap().code, 4001);
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn closing_the_sink_closes_the_websocket_after_its_messages() {
    let client = TestClient::new(app).queue_capacity(1);
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "last");
    assert_eq!(socket.closed().await.unwrap(), WebSocketClose::default());
    assert!(matches!(socket.receive().await, Err(Error::Closed(_))));
    socket.exchange().ended().await.unwrap();
}
