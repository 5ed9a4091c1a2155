use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{
    App, AppError, Feature, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose,
};
use callgate_channels::{
    ChannelLayer, Error as LayerError, Group, GroupEvent, MemoryBackend, Settings, SlowConsumer,
};
use callgate_toolkit::channels::{self, GroupSession, SessionEvent};
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient, TestWebSocket};
use callgate_toolkit::websocket::WebSocketUpgrade;
use callgate_toolkit::{errors, lifespan, respond};
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

fn memory(settings: Settings) -> ChannelLayer {
    ChannelLayer::with_backend(Arc::new(MemoryBackend::new(settings)))
}

/// Returns a client of a room, whose layer is this one.
async fn client(layer: &ChannelLayer) -> TestClient {
    let layer = layer.clone();
    let connect = move || std::future::ready(Ok::<_, LayerError>(layer.clone()));
    TestClient::start(channels::with_layer(room, connect))
        .await
        .unwrap()
}

/// A room, whose subscription is as the path says. Members have the query as data.
async fn room(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
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

async fn enter(client: &TestClient, target: &'static str) -> TestWebSocket {
    client.websocket(target).connect().await.unwrap()
}

/// Asserts that these texts come next.
async fn gets(socket: &mut TestWebSocket, texts: &[&str]) {
    for text in texts {
        assert_eq!(socket.text().await.unwrap(), *text);
    }
}

/// Waits until there are this many members.
async fn has_members(group: &Group, count: usize) {
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

/// Lets the other tasks of the thread run until they wait for each other only.
async fn settled() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
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
async fn a_client_that_does_not_read_is_heard_and_its_leave_is_noticed() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await.queue_capacity(1);
    let slow = enter(&client, "/?slow").await;
    let mut quick = enter(&client, "/?quick").await;
    gets(&mut quick, &["+quick"]).await;
    for number in 0..1000 {
        quick.send_text(number.to_string()).await.unwrap();
        assert_eq!(quick.text().await.unwrap(), number.to_string());
    }
    slow.send_text("I do not read").await.unwrap();
    gets(&mut quick, &["I do not read"]).await;
    slow.disconnect();
    gets(&mut quick, &["-slow"]).await;
    slow.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_slow_client_gets_a_gap_in_the_place_of_what_it_has_missed() {
    let layer = memory(Settings::new().history_messages(10));
    let client = client(&layer).await.queue_capacity(1);
    let mut slow = enter(&client, "/listener").await;
    for number in 0..1000 {
        layer
            .group("room")
            .publish(number.to_string())
            .await
            .unwrap();
        tokio::task::yield_now().await;
    }
    let mut next = 0;
    while next < 1000 {
        let text = slow.text().await.unwrap();
        if text == "missed" {
            let after = slow.text().await.unwrap().parse::<u32>().unwrap();
            assert!(after > next, "{after} after a gap from {next}");
            next = after + 1;
        } else {
            assert_eq!(text, next.to_string());
            next += 1;
        }
    }
    assert!(layer.metrics().missed > 0);
}

#[tokio::test]
async fn a_slow_client_is_closed_where_its_subscription_says_so() {
    let layer = memory(Settings::new().history_messages(10));
    let client = client(&layer).await.queue_capacity(1);
    let mut slow = enter(&client, "/strict?slow").await;
    let room = layer.group("room");
    for number in 0..1000 {
        room.publish(number.to_string()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let close = loop {
        match slow.receive().await {
            Ok(_) => {}
            Err(Error::Closed(close)) => break close,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(
        (close.code, &*close.reason),
        (1013, "the client has read too slowly")
    );
    has_members(&room, 0).await;
    slow.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_leaves_before_its_close_frame_has_room() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await.queue_capacity(1);
    let mut slow = enter(&client, "/?slow").await;
    settled().await;
    layer.close().await;
    settled().await;
    let metrics = layer.metrics();
    assert_eq!((metrics.members, metrics.subscribers), (0, 0));
    gets(&mut slow, &["+slow"]).await;
    assert_eq!(slow.closed().await.unwrap().code, 1013);
    slow.exchange().ended().await.unwrap();
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
async fn a_client_that_does_not_read_replies_is_not_received_from() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await.queue_capacity(1);
    let mut socket = enter(&client, "/?ada").await;
    // Two queues of one message each, the queue of the session, and the message that it has received.
    let mut sent = 0;
    while sent < 100 {
        let mut sending = pin!(socket.send_text(format!("echo {sent}")));
        let mut settled = pin!(settled());
        match select(&mut sending, &mut settled).await {
            Either::Left((result, _)) => result.unwrap(),
            Either::Right(_) => break,
        }
        sent += 1;
    }
    assert!((16..=20).contains(&sent), "{sent}");
    gets(&mut socket, &["+ada"]).await;
    for number in 0..sent {
        assert_eq!(socket.text().await.unwrap(), format!("echo {number}"));
    }
    socket.disconnect();
    socket.exchange().ended().await.unwrap();
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
async fn a_layer_that_fails_denies_the_handshake_or_closes_with_1013() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    let mut idle = enter(&client, "/listener").await;
    let mut publisher = enter(&client, "/?ada").await;
    gets(&mut publisher, &["+ada"]).await;
    gets(&mut idle, &["+ada"]).await;
    layer.close().await;
    for socket in [&mut idle, &mut publisher] {
        let close = socket.closed().await.unwrap();
        assert_eq!(
            (close.code, &*close.reason),
            (1013, "the channel layer is closed")
        );
    }

    let denied = client.websocket("/?eva").connect().await.unwrap_err();
    let response = denied.response().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.text(), "the channel layer is unavailable\n");
    let refused = client.websocket("/?eva").with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let refused = refused.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 403);
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

#[tokio::test]
async fn a_layer_that_cannot_be_opened_fails_the_start_up() {
    let app = channels::with_layer(room, || ChannelLayer::connect("nowhere"));
    let reason = lifespan::start(app).await.unwrap_err();
    assert!(
        reason.starts_with("there is no such channel layer"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_application_without_a_layer_says_how_to_get_one() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    async fn lonely(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let error = channels::layer(&scope.state).unwrap_err().to_string();
        IS_TOLD.store(error.contains("channels::with_layer"), Ordering::Relaxed);
        respond::text("").send(&sender).await
    }
    TestClient::new(lonely).get("/").send().await.unwrap();
    assert!(IS_TOLD.load(Ordering::Relaxed));
}

#[tokio::test]
async fn an_error_of_the_layer_is_a_response() {
    fn app(error: LayerError) -> impl App {
        errors::handle(move |_: Scope, _: Receiver, _: Sender| {
            let error = error.clone();
            async move { Err::<(), _>(error.into()) }
        })
    }
    let unreachable = LayerError::Unreachable {
        target: "redis at secret.host".into(),
        reason: "refused".into(),
        retry: None,
    };
    let ahead = LayerError::SequenceAhead {
        asked: 9.to_string().parse().unwrap(),
        head: 1.to_string().parse().unwrap(),
    };
    for (error, status, message) in [
        (unreachable, 503, "the channel layer is unavailable"),
        (LayerError::Closed, 503, "the channel layer is unavailable"),
        (
            LayerError::NameTooLong {
                octets: 600,
                limit: 512,
            },
            400,
            "the name of the group has 600 bytes, and the limit is 512",
        ),
        (
            ahead,
            409,
            "the group has no number 9 (its greatest is 1): subscribe anew",
        ),
        (
            LayerError::WaitUnsupported { backend: "redis" },
            500,
            "the channel layer has failed",
        ),
    ] {
        let response = TestClient::new(app(error)).get("/").send().await.unwrap();
        assert_eq!(response.status(), status);
        let expected = serde_json::json!({ "error": message });
        assert_eq!(response.json::<serde_json::Value>().unwrap(), expected);
        assert_eq!(
            response.headers().contains_key("retry-after"),
            status == 503
        );
    }
}

#[tokio::test]
async fn a_client_that_floods_does_not_keep_the_events_of_the_group_away() {
    async fn first_events(
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let scope = scope.into_websocket()?;
        let room = channels::layer(&scope.state)?.group("room");
        let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
        let mut session = GroupSession::join(upgrade, &room, ()).await?;
        let mut events = String::new();
        settled().await;
        while events.len() < 8 {
            match session.next().await {
                Some(SessionEvent::Client(_)) => events.push('c'),
                Some(SessionEvent::Group(GroupEvent::Message(_))) => events.push('g'),
                _ => {}
            }
        }
        session.send(Message::text(events));
        session.close(WebSocketClose::default()).await?;
        Ok(())
    }
    let layer = ChannelLayer::memory();
    let of_app = layer.clone();
    let app = channels::with_layer(first_events, move || {
        std::future::ready(Ok::<_, Infallible>(of_app.clone()))
    });
    let client = TestClient::start(app).await.unwrap();
    let mut socket = enter(&client, "/").await;
    for _ in 0..8 {
        socket.send_text("flood").await.unwrap();
        layer.group("room").publish("event").await.unwrap();
    }
    let events = socket.text().await.unwrap();
    assert!(
        events.contains("cgcg") || events.contains("gcgc"),
        "{events}"
    );
}
