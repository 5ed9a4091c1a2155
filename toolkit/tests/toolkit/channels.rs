use std::convert::Infallible;
use std::sync::Arc;

use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose};
use callgate_channels::{
    ChannelLayer, Error as LayerError, Group, GroupEvent, MemoryBackend, Settings, SlowConsumer,
};
use callgate_toolkit::channels::{self, GroupSession, SessionEvent};
use callgate_toolkit::test_client::{TestClient, TestWebSocket};
use callgate_toolkit::websocket::WebSocketUpgrade;
use futures_util::FutureExt as _;

pub(crate) fn memory(settings: Settings) -> ChannelLayer {
    ChannelLayer::with_backend(Arc::new(MemoryBackend::new(settings)))
}

/// Returns a client of a room, whose layer is this one.
pub(crate) async fn client(layer: &ChannelLayer) -> TestClient {
    let layer = layer.clone();
    let connect = move || std::future::ready(Ok::<_, LayerError>(layer.clone()));
    TestClient::start(channels::with_layer(room, connect))
        .await
        .unwrap()
}

/// A room, whose subscription is as the path says. Members have the query as data.
pub(crate) async fn room(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_websocket()?;
    let room = channels::layer(&scope.state)?.group("room");
    let name = scope.uri.query().unwrap_or_default().to_owned();
    let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
    let mut session = match scope.raw_path() {
        "/" => GroupSession::join(upgrade, &room, name).await?,
        "/listener" => {
            let subscription = room.subscribe().await?;
            let socket = upgrade.accept(WebSocketAccept::new()).await?;
            GroupSession::new(socket, subscription)
        }
        _ => {
            let subscription = room.subscribe().slow_consumer(SlowConsumer::Close).await?;
            let membership = room.join(name).await?;
            let socket = upgrade.accept(WebSocketAccept::new()).await?;
            GroupSession::new(socket, subscription).member(membership)
        }
    };
    while let Some(event) = session.next().await {
        match event {
            SessionEvent::Client(Message::Text(text)) if text == "close" => {
                session.send(Message::text("bye"));
                session.close(WebSocketClose::new(4000)).await?;
                return Ok(());
            }
            SessionEvent::Client(Message::Text(text)) if text == "return" => {
                session.send(Message::text("bye"));
                return Ok(());
            }
            SessionEvent::Client(Message::Text(text)) if text.starts_with("echo") => {
                session.send(Message::Text(text));
            }
            SessionEvent::Client(message) => {
                if let Err(error) = room.publish(channels::payload(message)).await {
                    return Err(session.fail(error).await);
                }
            }
            SessionEvent::Group(GroupEvent::Message(message)) => session.forward(message.payload),
            SessionEvent::Group(GroupEvent::Join { member, .. }) => {
                let name = member.data.as_text().unwrap_or_default();
                session.send(Message::text(format!("+{name}")));
            }
            SessionEvent::Group(GroupEvent::Leave { member, .. }) => {
                let name = member.data.as_text().unwrap_or_default();
                session.send(Message::text(format!("-{name}")));
            }
            SessionEvent::Group(GroupEvent::Missed(_)) => session.send(Message::text("missed")),
            SessionEvent::Inbox(GroupEvent::Message(message)) => {
                let text = message.payload.as_text().unwrap_or_default();
                session.send(Message::text(format!("to you: {text}")));
            }
            _ => {}
        }
    }
    assert_eq!(session.as_member(), None);
    // The member has left already, while the call goes on.
    Ok(())
}

pub(crate) async fn enter(client: &TestClient, target: &'static str) -> TestWebSocket {
    client.websocket(target).connect().await.unwrap()
}

/// Asserts that these texts come next.
pub(crate) async fn gets(socket: &mut TestWebSocket, texts: &[&str]) {
    for text in texts {
        assert_eq!(socket.text().await.unwrap(), *text);
    }
}

/// Waits until there are this many members.
pub(crate) async fn has_members(group: &Group, count: usize) {
    let mut subscription = group.subscribe().await.unwrap();
    while group.member_count().await.unwrap() != count {
        subscription.next().await.unwrap();
    }
}

/// Opens two sessions. Each has been told that its own member is there, and the first has not read of the second.
async fn ada_and_eva(client: &TestClient) -> (TestWebSocket, TestWebSocket) {
    let mut ada = enter(client, "/?ada").await;
    gets(&mut ada, &["+ada"]).await;
    let mut eva = enter(client, "/?eva").await;
    gets(&mut eva, &["+eva"]).await;
    (ada, eva)
}

#[tokio::test]
async fn a_session_passes_messages_joins_and_leaves_between_its_client_and_the_group() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    let (mut ada, mut eva) = ada_and_eva(&client).await;
    eva.send_text("Hello").await.unwrap();
    eva.send_binary(&b"\xff"[..]).await.unwrap();
    gets(&mut ada, &["+eva", "Hello"]).await;
    assert_eq!(ada.receive().await.unwrap(), Message::binary(&b"\xff"[..]));
    gets(&mut eva, &["Hello"]).await;

    eva.disconnect();
    eva.exchange().ended().await.unwrap();
    gets(&mut ada, &["-eva"]).await;
    assert_eq!(layer.group("room").member_count().await.unwrap(), 1);
    ada.close(WebSocketClose::new(1000));
    ada.exchange().ended().await.unwrap();
    has_members(&layer.group("room"), 0).await;
    client.shutdown().await.unwrap();
    assert!(!layer.health().is_ready(), "the shutdown closes the layer");
}

#[tokio::test]
async fn all_that_a_client_has_sent_is_received_although_it_is_gone() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    let room = layer.group("room");
    let mut subscription = room.subscribe().await.unwrap();
    let socket = enter(&client, "/?ada").await;
    for number in 0..10 {
        // A reply that cannot be sent does not end the session.
        socket.send_text(format!("echo {number}")).await.unwrap();
        socket.send_text(number.to_string()).await.unwrap();
    }
    socket.close(WebSocketClose::new(1000));
    socket.exchange().ended().await.unwrap();
    for number in 0..10 {
        let message = loop {
            match subscription.next().await.unwrap() {
                GroupEvent::Message(message) => break message,
                GroupEvent::Join { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(message.payload.as_text(), Some(&*number.to_string()));
    }
    assert!(matches!(
        subscription.next().await,
        Some(GroupEvent::Leave { .. })
    ));
}

#[tokio::test]
async fn messages_to_a_member_come_to_its_session_only() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    let (mut ada, mut eva) = ada_and_eva(&client).await;
    let room = layer.group("room");
    let members = room.members().await.unwrap();
    let ada_member = members
        .iter()
        .find(|member| member.data.as_text() == Some("ada"))
        .unwrap();
    room.send_to(&ada_member.id, "psst").await.unwrap();
    gets(&mut ada, &["+eva", "to you: psst"]).await;
    room.publish("all").await.unwrap();
    gets(&mut eva, &["all"]).await;
}

#[tokio::test]
async fn the_last_messages_are_sent_when_the_session_is_closed_or_the_call_returns() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    for (command, code) in [("close", 4000), ("return", 1000)] {
        let mut socket = enter(&client, "/?ada").await;
        gets(&mut socket, &["+ada"]).await;
        socket.send_text(command).await.unwrap();
        gets(&mut socket, &["bye"]).await;
        assert_eq!(socket.closed().await.unwrap().code, code);
        socket.exchange().ended().await.unwrap();
        has_members(&layer.group("room"), 0).await;
    }
}

#[tokio::test]
async fn a_publication_that_fails_closes_with_the_code_of_the_error() {
    let layer = memory(Settings::new().max_message(4));
    let client = client(&layer).await;
    let mut socket = enter(&client, "/?ada").await;
    gets(&mut socket, &["+ada"]).await;
    socket.send_text("too long").await.unwrap();
    let close = socket.closed().await.unwrap();
    let reason = "the message has 8 bytes, and the limit is 4";
    assert_eq!((close.code, &*close.reason), (1009, reason));
    has_members(&layer.group("room"), 0).await;
}

#[tokio::test]
async fn next_can_be_dropped_without_loss() {
    async fn impatient(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_websocket()?;
        let room = channels::layer(&scope.state)?.group("room");
        let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
        let mut session = GroupSession::join(upgrade, &room, ()).await?;
        loop {
            // Polled once, and dropped.
            match session.next().now_or_never() {
                Some(Some(SessionEvent::Client(message))) => {
                    room.publish(channels::payload(message)).await?;
                }
                Some(Some(SessionEvent::Group(GroupEvent::Message(message)))) => {
                    session.forward(message.payload);
                }
                Some(Some(_)) => {}
                Some(None) => return Ok(()),
                None => tokio::task::yield_now().await,
            }
        }
    }
    let app = channels::with_layer(impatient, || {
        std::future::ready(Ok::<_, Infallible>(ChannelLayer::memory()))
    });
    let client = TestClient::start(app).await.unwrap().queue_capacity(2);
    let mut socket = enter(&client, "/").await;
    for round in 0..20 {
        for number in 0..3 {
            socket.send_text(format!("{round} {number}")).await.unwrap();
        }
        for number in 0..3 {
            assert_eq!(socket.text().await.unwrap(), format!("{round} {number}"));
        }
    }
    socket.disconnect();
    socket.exchange().ended().await.unwrap();
    client.shutdown().await.unwrap();
}
