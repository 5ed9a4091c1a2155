use std::convert::Infallible;
use std::pin::pin;

use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketClose};
use callgate_channels::{ChannelLayer, GroupEvent, Settings};
use callgate_toolkit::channels::{self, GroupSession, SessionEvent};
use callgate_toolkit::test_client::{Error, TestClient};
use callgate_toolkit::websocket::WebSocketUpgrade;
use futures_util::future::{Either, select};

use crate::channels::{client, enter, gets, has_members, memory};

/// Lets the other tasks of the thread run until they wait for each other only.
async fn settled() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
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
