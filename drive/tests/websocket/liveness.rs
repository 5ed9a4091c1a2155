//! Clients that are gone, slow clients and slow applications, with a paused clock.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use callgate::{AppFuture, Message, ReceiveEvent, Receiver, Sender};
use callgate_drive::websocket::{PeerState, SessionConfig, Shutdown};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::support::{Client, LONG, SECOND, TICK, open, open_with, unknown, without_pings};

/// A message of 1 KiB.
fn kibibyte() -> Frame {
    Frame::binary(vec![b'x'; 1024])
}

/// More messages of 1 KiB than a session takes while the application receives none.
const TOO_MANY: usize = 400;
/// Enough messages to fill the queue and a part of the read-ahead.
const READ_AHEAD: usize = 100;

/// Sends these messages, and then keeps the connection open.
async fn send_all(client: &mut Client, count: usize) {
    for _ in 0..count {
        client.send(kibibyte()).await.unwrap();
    }
}

/// Receives to the end. Returns the number of messages, and the code of the disconnect.
async fn receive_all(receiver: &mut Receiver) -> (usize, u16) {
    let mut messages = 0;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(_) => messages += 1,
            ReceiveEvent::WebSocketDisconnect(end) => return (messages, end.code),
            _ => {}
        }
    }
}

/// An application that receives nothing for `delay`, and then reports all that it receives.
fn receiving_after(
    delay: Duration,
) -> (
    impl Fn(Receiver, Sender) -> AppFuture + Clone + Send + Sync + 'static,
    mpsc::UnboundedReceiver<(usize, u16)>,
) {
    let (report, reported) = mpsc::unbounded_channel();
    let app = move |mut receiver: Receiver, _: Sender| -> AppFuture {
        let report = report.clone();
        Box::pin(async move {
            sleep(delay).await;
            // The test may have failed.
            let _ = report.send(receive_all(&mut receiver).await);
            Ok(())
        })
    };
    (app, reported)
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_read_into_again_although_output_is_blocked() {
    let (receive, may_receive) = oneshot::channel::<()>();
    let (report, mut reported) = mpsc::channel(1);
    let taken = Arc::new(std::sync::Mutex::new(Some((may_receive, report))));
    let mut opened = open(without_pings(), unknown, move |mut receiver, sender| {
        let (may_receive, report) = taken.lock().unwrap().take().unwrap();
        async move {
            // Neither task is the session's, so only a waker can wake the session.
            tokio::spawn(async move {
                while sender.send(Message::binary(vec![0; 1024])).await.is_ok() {}
            });
            tokio::spawn(async move {
                may_receive.await.unwrap();
                for _ in 0..TOO_MANY {
                    receiver.receive().await;
                }
                report.send(()).await.unwrap();
            });
            pending().await
        }
    })
    .await;
    // The client sends and does not read.
    let sending = async {
        send_all(&mut opened.client, TOO_MANY).await;
        pending::<()>().await;
    };
    let receiving = async {
        // The clock advances when all tasks are idle.
        sleep(SECOND).await;
        receive.send(()).unwrap();
        reported.recv().await.unwrap();
    };
    tokio::select! {
        () = sending => unreachable!("it does not end"),
        // Sooner than any timer of the session.
        received = timeout(2 * SECOND, receiving) => received.expect("the session reads no more"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_pong_is_closed_while_the_application_does_not_receive() {
    for (peer, told) in [
        (unknown as fn(&DuplexStream) -> PeerState, 1011),
        (|_| PeerState::Disconnected, 1006),
    ] {
        let (app, mut reported) = receiving_after(LONG);
        let opened = open(SessionConfig::default(), peer, app).await;
        let (mut sink, mut stream) = opened.client.split();
        let sending = async { while sink.send(kibibyte()).await.is_ok() {} };
        let reading = async {
            let start = Instant::now();
            let ping = stream.next().await.unwrap().unwrap();
            assert_eq!(ping, Frame::Ping("".into()));
            let Frame::Close(Some(close)) = stream.next().await.unwrap().unwrap() else {
                panic!("it is a close");
            };
            assert_eq!(u16::from(close.code), 1011);
            // The interval and the time-out.
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(40) + TICK, "{waited:?}");
            while let Some(Ok(_)) = stream.next().await {}
        };
        timeout(LONG, async { tokio::join!(sending, reading) })
            .await
            .unwrap();
        opened.session.await.unwrap();
        // The application receives the messages that had been read.
        let (messages, code) = reported.recv().await.unwrap();
        assert!(messages >= 64, "{messages}");
        assert_eq!(code, told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_connected_is_kept_for_a_slow_application() {
    let (app, mut reported) = receiving_after(LONG);
    let opened = open(SessionConfig::default(), |_| PeerState::Connected, app).await;
    let (mut sink, mut stream) = opened.client.split();
    let sending = async {
        for _ in 0..TOO_MANY {
            sink.send(kibibyte()).await.unwrap();
        }
        sink.send(Frame::Close(None)).await.unwrap();
    };
    let reading = async {
        let mut pings = 0;
        while let Some(Ok(Frame::Ping(_))) = stream.next().await {
            pings += 1;
        }
        pings
    };
    let ((), pings) = tokio::join!(sending, reading);
    // One ping every 40 s of the hour. By sending them, the transport detects a client that is
    // gone.
    assert!((80..=91).contains(&pings), "{pings}");
    assert_eq!(reported.recv().await, Some((TOO_MANY, 1005)));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_kept_while_the_application_receives_however_slowly() {
    let (report, mut reported) = mpsc::unbounded_channel();
    let mut opened = open(SessionConfig::default(), unknown, move |mut receiver, _| {
        let report = report.clone();
        async move {
            let mut messages = 0;
            while let ReceiveEvent::WebSocketReceive(_) = receiver.receive().await {
                messages += 1;
                // Slower than the ping time-out, and dozens of messages are received before there
                // is room.
                sleep(Duration::from_secs(30)).await;
            }
            report.send(messages).unwrap();
            Ok(())
        }
    })
    .await;
    send_all(&mut opened.client, TOO_MANY).await;
    opened.client.send(Frame::Close(None)).await.unwrap();
    assert_eq!(reported.recv().await, Some(TOO_MANY));
}

#[tokio::test(start_paused = true)]
async fn pongs_and_a_close_are_seen_behind_messages_that_are_not_received() {
    let (app, mut reported) = receiving_after(2 * LONG);
    let mut opened = open(SessionConfig::default(), unknown, app).await;
    send_all(&mut opened.client, READ_AHEAD).await;
    // The client answers pings while it reads.
    let answered = timeout(LONG, async {
        while let Some(Ok(Frame::Ping(_))) = opened.client.next().await {}
    });
    assert!(answered.await.is_err(), "the session has ended");
    opened.client.send(Frame::Close(None)).await.unwrap();
    let answer = timeout(TICK, opened.client.next()).await.unwrap();
    assert!(matches!(answer, Some(Ok(Frame::Close(_)))), "{answer:?}");
    assert_eq!(reported.recv().await, Some((READ_AHEAD, 1005)));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_is_seen_behind_messages_that_are_not_received() {
    let (app, mut reported) = receiving_after(LONG);
    let mut opened = open(without_pings(), unknown, app).await;
    send_all(&mut opened.client, READ_AHEAD).await;
    drop(opened.client);
    timeout(LONG / 2, opened.session).await.unwrap().unwrap();
    assert_eq!(reported.recv().await, Some((READ_AHEAD, 1006)));
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_behind_unread_messages_is_noticed_without_pings() {
    let (app, mut reported) = receiving_after(LONG);
    let mut opened = open(without_pings(), |_| PeerState::Disconnected, app).await;
    tokio::select! {
        () = send_all(&mut opened.client, TOO_MANY) => panic!("all of it was taken"),
        () = sleep(TICK) => {}
    }
    drop(opened.client);
    timeout(LONG / 2, opened.session).await.unwrap().unwrap();
    assert_eq!(reported.recv().await.unwrap().1, 1006);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_and_then_drops() {
    let (app, mut reported) = receiving_after(Duration::ZERO);
    let mut opened = open(SessionConfig::default(), unknown, app).await;
    opened.shutdown.send(Shutdown::Close).unwrap();
    let Some(Ok(Frame::Close(Some(close)))) = opened.client.next().await else {
        panic!("it is a close");
    };
    assert_eq!(u16::from(close.code), 1012);
    assert_eq!(reported.recv().await, Some((0, 1012)));
    // The client has not sent its own close, and the session waits for it.
    assert!(!opened.session.is_finished());
    opened.shutdown.send(Shutdown::Drop).unwrap();
    timeout(TICK, opened.session).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_does_not_wait_for_the_clients_close() {
    let (dropped, is_dropped) = oneshot::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(Some(dropped)));
    let app = move |_, _| {
        let dropped = held.lock().unwrap().take();
        async move {
            let _dropped = dropped;
            pending().await
        }
    };
    let opened = open_with(SECOND, SessionConfig::default(), unknown, app).await;
    let start = Instant::now();
    opened.shutdown.send(Shutdown::Close).unwrap();
    assert!(is_dropped.await.is_err(), "nothing is sent");
    let waited = start.elapsed();
    assert!(waited <= SECOND + TICK, "{waited:?}");
    // The session still waits for the close of the client.
    assert!(!opened.session.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_application_of_a_dropped_session_receives_a_disconnect() {
    let (app, mut reported) = receiving_after(Duration::ZERO);
    let opened = open(SessionConfig::default(), unknown, app).await;
    opened.session.abort();
    assert_eq!(reported.recv().await, Some((0, 1006)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lingers_for_what_the_client_still_sends() {
    let (app, _reported) = receiving_after(Duration::ZERO);
    let mut opened = open(SessionConfig::default(), unknown, app).await;
    opened.client.send(Frame::Close(None)).await.unwrap();
    assert!(matches!(
        opened.client.next().await,
        Some(Ok(Frame::Close(_)))
    ));
    for _ in 0..5 {
        sleep(SECOND).await;
        opened.client.get_mut().write_all(b"more").await.unwrap();
    }
    timeout(LONG, opened.session).await.unwrap().unwrap();
}
