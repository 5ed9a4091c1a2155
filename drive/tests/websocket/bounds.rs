//! What bounds the work and the memory of a session: busy applications, and clients that send more
//! than anybody receives.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use callgate::{AppError, Message, ReceiveEvent, Receiver, Sender, WebSocketClose, WebSocketScope};
use callgate_drive::websocket::{DeflateParameters, PerMessageDeflate, Transport};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::messages::frame;
use crate::support::{
    Flood, Opened, SECOND, accept, open, open_compressed, read_frame, unknown, without_pings,
};

/// The frames with these first octets.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const COMPRESSED: u8 = 0x40;

fn deflate() -> DeflateParameters {
    let mut scope = WebSocketScope::new("/".parse().unwrap());
    let offer = "permessage-deflate".parse().unwrap();
    scope.headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
    DeflateParameters::negotiate(&mut scope, PerMessageDeflate::On).unwrap()
}

/// Returns the frame of a compressed binary message of zeros, whose inflated size is 1 KiB times
/// `size`.
fn zeros(size: usize) -> Vec<u8> {
    // A block of fixed codes: a zero, and runs of 258 zeros, each of which has the 13 bits of length
    // 258 and distance 1. Bits go from the least significant one on.
    let mut bits = vec![false, true, false];
    let mut code = |value: u32, length: u32| {
        bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    };
    code(0x30, 8);
    for _ in 0..(size * 1024 - 1) / 258 {
        code(0xc5, 8);
        code(0, 5);
    }
    for _ in 0..(size * 1024 - 1) % 258 {
        code(0x30, 8);
    }
    // The end of the block, and the header of the empty block whose tail is removed.
    code(0, 7);
    code(0, 3);
    let payload: Vec<u8> = bits
        .chunks(8)
        .map(|bits| {
            (0..)
                .zip(bits)
                .fold(0, |octet, (n, bit)| octet | u8::from(*bit) << n)
        })
        .collect();
    let length = u16::try_from(payload.len()).unwrap();
    let header = [
        &[BINARY | COMPRESSED, 0x80 | 126][..],
        &length.to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    [header, payload].concat()
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_are_read_ahead_by_their_inflated_size() {
    let may_receive = Arc::new(Notify::new());
    let signal = may_receive.clone();
    let (report, mut reported) = mpsc::unbounded_channel();
    let app = move |mut receiver: Receiver, _| {
        let signal = signal.clone();
        let report = report.clone();
        async move {
            signal.notified().await;
            // All that the session has read so far.
            let mut sizes = Vec::new();
            poll_fn(|cx| {
                while let Poll::Ready(event) = receiver.poll_receive(cx) {
                    let ReceiveEvent::WebSocketReceive(message) = event else {
                        panic!("it is a message: {event:?}");
                    };
                    sizes.push(message.len());
                }
                Poll::Ready(())
            })
            .await;
            report.send(sizes).unwrap();
            Ok(())
        }
    };
    let opened = open_compressed(deflate(), without_pings(), app).await;
    let mut stream = opened.client.into_inner();
    let message = zeros(40);
    for _ in 0..4 {
        // The octets of four messages fit into the connection.
        stream.write_all(&message).await.unwrap();
        // The clock advances when all tasks are idle.
        sleep(SECOND).await;
    }
    may_receive.notify_one();
    // Two messages fill the queue, and the third is read ahead.
    assert_eq!(reported.recv().await, Some(vec![40 * 1024; 3]));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_dropped_after_a_close_let_other_tasks_run() {
    const MESSAGES: usize = 64;
    let app = |_, sender: Sender| async move {
        sender.send(WebSocketClose::new(1000)).await?;
        Ok(())
    };
    let message = zeros(1024);
    let input = message.repeat(MESSAGES);
    let whole = input.len();
    let (stream, available, written) = Flood::new(input);
    let accepted = accept(SECOND, app).await.deflate(Some(deflate()));
    let mut session = accepted.into_session(Transport::new(stream), without_pings());
    let mut running = pin!(session.run(|_| Poll::Pending));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(written.load(Ordering::Relaxed), 4, "a close frame");
    available.store(whole, Ordering::Relaxed);
    assert!(running.as_mut().poll(&mut cx).is_pending());
    // 16 rounds of a message each, and what is read behind the last of them.
    let used = whole - available.load(Ordering::Relaxed);
    assert!(
        (1..=16 * message.len() + 20 * 1024).contains(&used),
        "{used} of {whole}"
    );
    while available.load(Ordering::Relaxed) > 0 {
        assert!(running.as_mut().poll(&mut cx).is_pending());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pings_is_answered_by_an_application_that_never_stops_sending() {
    /// At most this many pongs wait.
    const PINGS: usize = 16;
    let opened = open(
        without_pings(),
        unknown,
        |mut receiver, sender| async move {
            let sending = async {
                loop {
                    sender.send(Message::binary(vec![0; 1000])).await?;
                }
            };
            let receiving = async {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(_) => Ok(()),
                    event => panic!("it is a message: {event:?}"),
                }
            };
            tokio::select! {
                result = sending => result,
                result = receiving => result,
            }
        },
    )
    .await;
    let mut stream = opened.client.into_inner();
    let octets = [frame(PING, b"").repeat(PINGS), frame(TEXT, b"stop")].concat();
    stream.write_all(&octets).await.unwrap();
    let mut pongs = 0;
    for _ in 0..1000 {
        match read_frame(&mut stream).await.0 {
            PONG => pongs += 1,
            CLOSE => {
                assert_eq!(pongs, PINGS);
                return;
            }
            _ => {}
        }
    }
    panic!("the message behind the pings has not been read");
}

/// Waits for as many polls as it sends messages.
async fn send_slowly(sender: &Sender, message: Message) -> Result<(), AppError> {
    sender.send(message).await?;
    yield_now().await;
    Ok(())
}

/// Opens a WebSocket, and sends these octets at once. Returns the frames of the session, up to its
/// close frame and no more than `most`.
async fn frames_after(opened: Opened, octets: &[u8], most: usize) -> Vec<(u8, Vec<u8>)> {
    let (mut reading, mut writing) = tokio::io::split(opened.client.into_inner());
    let read = async {
        let mut frames = Vec::new();
        while frames.len() < most {
            let frame = read_frame(&mut reading).await;
            let is_close = frame.0 == CLOSE;
            frames.push(frame);
            if is_close {
                break;
            }
        }
        frames
    };
    tokio::join!(read, writing.write_all(octets)).0
}

#[tokio::test(start_paused = true)]
async fn every_message_before_a_close_is_answered_by_an_application_that_answers_one_a_poll() {
    const MESSAGES: usize = 100;
    let opened = open(
        without_pings(),
        unknown,
        |mut receiver, sender| async move {
            while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
                send_slowly(&sender, message).await?;
            }
            Ok(())
        },
    )
    .await;
    let octets = [
        frame(TEXT, b"x").repeat(MESSAGES),
        frame(CLOSE, b"\x03\xe8"),
    ]
    .concat();
    let frames = frames_after(opened, &octets, usize::MAX).await;
    let mut expected = vec![(TEXT, b"x".to_vec()); MESSAGES];
    expected.push((CLOSE, b"\x03\xe8".to_vec()));
    assert_eq!(frames, expected);
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_a_websocket_whose_application_never_stops_sending() {
    let opened = open(without_pings(), unknown, |_, sender| async move {
        loop {
            send_slowly(&sender, Message::text("x")).await?;
        }
    })
    .await;
    let frames = frames_after(opened, &frame(CLOSE, b"\x03\xe8"), 2000).await;
    assert_eq!(frames.last(), Some(&(CLOSE, b"\x03\xe8".to_vec())));
}
