//! Compressed messages, with a client whose octets are written by hand and one of this library.

use std::future::poll_fn;

use callgate::{Message, WebSocketScope};
use callgate_drive::websocket::message::{MessageConfig, MessageStream, Received, Role};
use callgate_drive::websocket::{DeflateParameters, PerMessageDeflate, SessionConfig};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use tokio::sync::mpsc;

use crate::messages::{echo, exchange_over, frame};
use crate::support::{Opened, open_compressed, without_pings};

/// Set in the first octet of a compressed message (RFC 7692, 6).
const COMPRESSED: u8 = 0x40;
/// `Hello` as RFC 7692, 7.2.3.1 compresses it.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

fn negotiate(offer: &'static str, setting: PerMessageDeflate) -> DeflateParameters {
    let mut scope = WebSocketScope::new("/".parse().unwrap());
    let offer = offer.parse().unwrap();
    scope.headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
    DeflateParameters::negotiate(&mut scope, setting).unwrap()
}

async fn open_echo(
    parameters: DeflateParameters,
    config: SessionConfig,
) -> (Opened, mpsc::UnboundedReceiver<u16>) {
    let (report, reported) = mpsc::unbounded_channel();
    let app = move |receiver, sender| echo(receiver, sender, report.clone());
    (open_compressed(parameters, config, app).await, reported)
}

/// Sends these octets at once. Returns all that the session sends before the connection ends.
async fn exchange(octets: &[u8]) -> (Vec<u8>, u16) {
    let parameters = negotiate("permessage-deflate", PerMessageDeflate::ContextTakeover);
    let config = SessionConfig {
        max_message_size: 10_000,
        ..without_pings()
    };
    exchange_over(open_echo(parameters, config).await, octets).await
}

/// Checks what is sent after these octets, up to the close frame with this code.
async fn expect(what: &str, octets: &[Vec<u8>], sent: &[u8], code: u16) {
    let [high, low] = code.to_be_bytes();
    let close = [0x88, 2, high, low];
    let exchanged = exchange(&octets.concat()).await;
    assert_eq!(exchanged, ([sent, &close].concat(), code), "{what}");
}

/// A close frame of the client, after which the session ends.
fn closing() -> Vec<u8> {
    frame(0x88, &1000_u16.to_be_bytes())
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_are_delivered_inflated() {
    const ANSWER: &[u8] = b"\x81\x05Hello";
    let (first, second) = HELLO.split_at(3);
    let last = frame(0x80, second);
    let begin = frame(COMPRESSED | 1, first);
    for (what, octets) in [
        ("one frame", vec![frame(0x80 | COMPRESSED | 1, HELLO)]),
        ("two frames", vec![begin.clone(), last.clone()]),
        (
            "an empty frame",
            vec![begin.clone(), frame(0, b""), last.clone()],
        ),
        (
            "an empty last frame",
            vec![frame(COMPRESSED | 1, HELLO), frame(0x80, b"")],
        ),
        (
            "an empty first frame",
            vec![frame(COMPRESSED | 1, b""), frame(0x80, HELLO)],
        ),
        ("a pong", vec![begin, frame(0x8a, b""), last]),
        ("a message as it is", vec![frame(0x81, b"Hello")]),
    ] {
        let octets = [octets, vec![closing()]].concat();
        expect(what, &octets, ANSWER, 1000).await;
    }
    // The second message refers to the first, with one between them that is not in the context.
    let octets = [
        frame(0x80 | COMPRESSED | 1, HELLO),
        frame(0x81, b"other"),
        frame(0x80 | COMPRESSED | 1, b"\xf2\x00\x11\x00\x00"),
        closing(),
    ];
    let answers = [ANSWER, b"\x81\x05other", ANSWER].concat();
    expect("a context", &octets, &answers, 1000).await;
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_extension_closes_the_websocket() {
    let begin = frame(COMPRESSED | 1, &HELLO[..3]);
    for (what, octets, code) in [
        (
            "the bit in a continuation",
            [begin.clone(), frame(0x80 | COMPRESSED, &HELLO[3..])],
            1002,
        ),
        (
            "the bit in a ping",
            [frame(0x80 | COMPRESSED | 9, b""), closing()],
            1002,
        ),
        (
            "the bit in a pong",
            [frame(0x80 | COMPRESSED | 10, b""), closing()],
            1002,
        ),
        (
            "the bit in a close frame",
            [frame(0x80 | COMPRESSED | 8, b""), closing()],
            1002,
        ),
        (
            "the second reserved bit",
            [frame(0x80 | 0x20 | 1, b""), closing()],
            1002,
        ),
        (
            "the third reserved bit",
            [frame(0x80 | COMPRESSED | 0x10 | 1, b""), closing()],
            1002,
        ),
        (
            "a message within a message",
            [begin, frame(0x80 | COMPRESSED | 1, HELLO)],
            1002,
        ),
        (
            "a block of a reserved type",
            [frame(0x80 | COMPRESSED | 1, b"\xff\xff"), closing()],
            1007,
        ),
        (
            "a stored text that is not UTF-8",
            [
                frame(0x80 | COMPRESSED | 1, b"\x00\x01\x00\xfe\xff\xff\x00"),
                closing(),
            ],
            1007,
        ),
        (
            "a stored text that ends within a character",
            [
                frame(0x80 | COMPRESSED | 1, b"\x00\x01\x00\xfe\xff\xc3\x00"),
                closing(),
            ],
            1007,
        ),
    ] {
        let octets = [vec![frame(0x81, b"before")], octets.to_vec()].concat();
        expect(what, &octets, b"\x81\x06before", code).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_inflated_text_fails_before_its_message_is_complete() {
    // A stored block of two octets, of which the second can be in no text. No octet follows.
    let octets = frame(COMPRESSED | 1, b"\x00\x02\x00\xfd\xff\xc3\xff");
    expect("half a message", &[octets], b"", 1007).await;
}

#[tokio::test(start_paused = true)]
async fn a_bomb_closes_with_1009() {
    // 10,001 zeros in a few octets, as zlib compresses them.
    let parameters = negotiate("permessage-deflate", PerMessageDeflate::On);
    for (size, is_taken) in [(10_000, true), (10_001, false), (500_000, false)] {
        let config = SessionConfig {
            max_message_size: 10_000,
            ..without_pings()
        };
        let (opened, mut reported) = open_echo(parameters, config).await;
        let mut client = client_of(opened, parameters);
        client.start_send(Message::binary(vec![0; size]));
        poll_fn(|cx| client.poll_flush(cx)).await.unwrap();
        let received = poll_fn(|cx| client.poll_next(cx)).await.unwrap();
        if is_taken {
            assert_eq!(received, Received::Message(Message::binary(vec![0; size])));
            continue;
        }
        assert!(matches!(received, Received::Close(Some(close)) if close.code == 1009));
        assert_eq!(reported.recv().await, Some(1009));
    }
}

type Client = MessageStream<tokio::io::DuplexStream>;

/// Returns a client that compresses too.
fn client_of(opened: Opened, deflate: DeflateParameters) -> Client {
    let config = MessageConfig {
        max_message_size: usize::MAX,
        max_message_frames: usize::MAX,
        max_waiting_output: 0,
        deflate: Some(deflate),
    };
    let stream = opened.client.into_inner();
    MessageStream::new(stream, &[], Role::InProcessClient, config)
}

#[tokio::test(start_paused = true)]
async fn messages_come_back_with_every_combination_of_parameters() {
    const CONTEXTS: [&str; 4] = [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ];
    const WINDOWS: [&str; 4] = [
        "",
        "; server_max_window_bits=9",
        "; client_max_window_bits=9",
        "; server_max_window_bits=12; client_max_window_bits=10",
    ];
    let numbers: String = (0..10_000).map(|n| format!("{}, ", n * n)).collect();
    for setting in [PerMessageDeflate::On, PerMessageDeflate::ContextTakeover] {
        for (context, window) in CONTEXTS
            .iter()
            .flat_map(|context| WINDOWS.map(|window| (context, window)))
        {
            let offer = format!("{context}{window}").leak();
            let parameters = negotiate(offer, setting);
            let (opened, _reported) = open_echo(parameters, without_pings()).await;
            let mut client = client_of(opened, parameters);
            for message in [
                Message::text(""),
                Message::text("small"),
                Message::text("ä".repeat(1000)),
                Message::binary(vec![0xfe; 300]),
                Message::text(numbers.clone()),
                Message::text(numbers.clone()),
                Message::text("ä".repeat(1000)),
            ] {
                client.start_send(message.clone());
                // The connection holds less than a message, so both directions go on at once.
                let received = poll_fn(|cx| {
                    let _ = client.poll_flush(cx);
                    client.poll_next(cx)
                });
                let received = received.await.unwrap();
                assert!(received == Received::Message(message), "{offer}");
            }
        }
    }
}
