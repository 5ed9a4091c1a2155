//! How often a session is polled, and what one poll does.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use callgate::{Message, ReceiveEvent, Receiver, Sender};
use callgate_drive::websocket::Transport;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::messages::frame;
use crate::support::{Flood, SECOND, accept, open, read_frame, unknown, without_pings};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn task() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (wakes.clone(), Waker::from(wakes))
}

/// Returns the frame of a binary message of 1 KiB.
fn kibibyte() -> Vec<u8> {
    [&[BINARY, 0x80 | 126, 4, 0, 0, 0, 0, 0][..], &[b'x'; 1024]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_echoed_takes_one_poll_of_the_session() {
    const MESSAGES: usize = 100;
    let app = |mut receiver: Receiver, sender: Sender| async move {
        while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
            sender.send(message).await?;
        }
        Ok(())
    };
    let message = frame(TEXT, b"x");
    let (stream, available, written) = Flood::new(message.repeat(MESSAGES));
    let mut session = accept(SECOND, app)
        .await
        .into_session(Transport::new(stream), without_pings());
    let mut running = pin!(session.run(|_| Poll::Pending));
    let (wakes, waker) = task();
    let mut cx = Context::from_waker(&waker);
    for n in 0..MESSAGES {
        assert!(running.as_mut().poll(&mut cx).is_pending());
        assert_eq!(written.load(Ordering::Relaxed), n * b"\x81\x01x".len());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        available.store(message.len(), Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_waits_for_room_goes_on_in_the_same_poll() {
    // More than the queue holds.
    const MESSAGES: usize = 200;
    let app = |_, sender: Sender| async move {
        for _ in 0..MESSAGES {
            sender.send(Message::text("x")).await?;
        }
        std::future::pending().await
    };
    let (stream, _, written) = Flood::new(Vec::new());
    let mut session = accept(SECOND, app)
        .await
        .into_session(Transport::new(stream), without_pings());
    let mut running = pin!(session.run(|_| Poll::Pending));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    let expected = MESSAGES * b"\x81\x01x".len();
    assert_eq!(written.load(Ordering::Relaxed), expected);
}

#[tokio::test(start_paused = true)]
async fn a_session_reads_on_in_the_poll_in_which_its_application_receives() {
    // More than the queue and the read-ahead hold.
    const MESSAGES: usize = 300;
    let may_receive = Arc::new(Notify::new());
    let signal = may_receive.clone();
    let app = move |mut receiver: Receiver, _| {
        let signal = signal.clone();
        async move {
            signal.notified().await;
            loop {
                receiver.receive().await;
            }
        }
    };
    let message = kibibyte();
    let input = message.repeat(MESSAGES);
    let whole = input.len();
    let (stream, available, _) = Flood::new(input);
    available.store(whole, Ordering::Relaxed);
    let mut session = accept(SECOND, app)
        .await
        .into_session(Transport::new(stream), without_pings());
    let mut running = pin!(session.run(|_| Poll::Pending));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_ne!(available.load(Ordering::Relaxed), 0);
    may_receive.notify_one();
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(available.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_task_wakes_an_idle_session() {
    let may_send = Arc::new(Notify::new());
    let signal = may_send.clone();
    let opened = open(
        without_pings(),
        unknown,
        move |mut receiver, sender: Sender| {
            let signal = signal.clone();
            async move {
                tokio::spawn(async move {
                    signal.notified().await;
                    sender.send(Message::text("x")).await.unwrap();
                });
                receiver.receive().await;
                Ok(())
            }
        },
    )
    .await;
    // The clock advances when all tasks are idle.
    sleep(SECOND).await;
    may_send.notify_one();
    let mut stream = opened.client.into_inner();
    let received = timeout(SECOND, read_frame(&mut stream)).await;
    assert_eq!(received, Ok((TEXT, b"x".to_vec())));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_stalled_reads_on_when_its_application_closes() {
    // More than the queue and the read-ahead hold.
    const MESSAGES: usize = 300;
    let may_return = Arc::new(Notify::new());
    let signal = may_return.clone();
    let app = move |_, _| {
        let signal = signal.clone();
        async move {
            signal.notified().await;
            Ok(())
        }
    };
    let message = kibibyte();
    let close = frame(CLOSE, &1000_u16.to_be_bytes());
    let (stream, available, _) = Flood::new([message.repeat(MESSAGES), close.clone()].concat());
    available.store(message.len() * MESSAGES + close.len(), Ordering::Relaxed);
    let mut session = accept(SECOND, app)
        .await
        .into_session(Transport::new(stream), without_pings());
    let mut running = pin!(session.run(|_| Poll::Pending));
    let (wakes, waker) = task();
    let mut cx = Context::from_waker(&waker);
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_ne!(available.load(Ordering::Relaxed), 0);
    may_return.notify_one();
    while wakes.0.swap(0, Ordering::Relaxed) > 0 {
        let _ = running.as_mut().poll(&mut cx);
    }
    assert_eq!(available.load(Ordering::Relaxed), 0);
}
