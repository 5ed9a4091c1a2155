//! `websocket.md`: messages and pings.

use std::time::Duration;

use callgate::{Message, ReceiveEvent, WebSocketClose};

use super::steps::{WAIT, WAITS};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, must,
};
use crate::server_suite::exchange::Over;
use crate::server_suite::launch::Settings;
use crate::server_suite::remote::Remote;
use crate::server_suite::websocket::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, WebSocket, after_connect, close,
    disconnected, frame, open, text, websocket_cases,
};

const FAILED: &str = "RFC 6455 lets a server that fails a connection do so without a close frame";

pub(super) const CASES: &[Case] = websocket_cases![
    messages_from_the_client: MESSAGES_IN_ORDER, Shared,
        "Sends text and binary messages, empty, short and long, in one go.",
        "The application receives each whole, of its type, in the order sent.";
    messages_to_the_client: MESSAGES_IN_ORDER, Shared,
        "The application sends text and binary messages, empty, short and long, and closes.",
        "The client gets each whole, of its type, in the order sent.";
    a_fragmented_text: FRAGMENTS_ARE_JOINED, Shared,
        "Sends a text message in fragments, one of them empty, which tear a character apart, with \
         a ping between them.",
        "The application receives one `websocket.receive`.";
    a_fragmented_binary: FRAGMENTS_ARE_JOINED, Shared,
        "Sends a binary message in fragments.",
        "The application receives one `websocket.receive`.";
    pings: PINGS_ARE_ANSWERED, Shared,
        "Sends pings, without a payload and with the longest, a pong, and then a message.",
        "Each ping is answered with a pong of the same payload; the application receives the \
         message only.";
    an_unanswered_ping: PING_TIMEOUT, Differs("ASGI leaves pings of the server open"),
        "Leaves the server's ping unanswered.",
        "The WebSocket is closed with 1011.";
    a_message_that_is_too_big: MESSAGE_TOO_BIG,
        Differs("ASGI does not say which code a message that is too big leaves"),
        "Sends a message of one byte more than the limit.",
        "The WebSocket is closed with 1009, and the application receives `websocket.disconnect` \
         with that code.";
    fragments_that_are_too_big: MESSAGE_TOO_BIG,
        Differs("ASGI does not say which code a message that is too big leaves"),
        "Sends fragments that are together larger than the limit.",
        "The WebSocket is closed with 1009, and the application receives `websocket.disconnect` \
         with that code.";
    a_message_at_the_limit: MESSAGE_TOO_BIG, Shared,
        "Sends a message that is as large as the limit.",
        "The application receives it.";
    a_text_that_is_not_utf8: INVALID_UTF8, Differs(FAILED),
        "Sends text messages that are not UTF-8, each on a WebSocket of its own: a stray byte, half \
         a character, an encoded surrogate, a stray byte in a later fragment.",
        "Each is closed with 1007.";
    a_text_that_is_not_utf8_is_told: INVALID_UTF8,
        Differs("ASGI does not say which code a breach of RFC 6455 leaves"),
        "Sends a text message that is not UTF-8.",
        "The application receives `websocket.disconnect` with 1007.";
    broken_framing: PROTOCOL_ERROR, Differs(FAILED),
        "Breaks RFC 6455, each time on a WebSocket of its own: reserved bits, reserved opcodes, no \
         mask, fragments out of turn, control frames in parts or too long, and close frames that \
         are malformed.",
        "Each is closed with 1002.";
    broken_framing_is_told: PROTOCOL_ERROR,
        Differs("ASGI does not say which code a breach of RFC 6455 leaves"),
        "Sends a frame with a reserved bit set.",
        "The application receives `websocket.disconnect` with 1002.";
    a_client_that_is_not_listened_to: BOUNDED_QUEUES,
        Differs("ASGI leaves open how much a server may hold"),
        "Sends messages for as long as the server takes them, while the application receives none.",
        "The server stops taking them before it has taken 32 MiB.";
    messages_are_flushed: SEND_IS_FLUSHED, Shared,
        "The application sends a message, and no other before the client has it.",
        "The client gets it.";
];

/// What messages are made of: nothing, a little, and as much as each form of a frame's length has.
const LENGTHS: [usize; 6] = [0, 1, 125, 126, 65535, 65536];

/// A text and a binary message of each length.
fn messages() -> impl Iterator<Item = Message> {
    LENGTHS.into_iter().flat_map(|length| {
        let text: String = "abcdefghij".chars().cycle().take(length).collect();
        let bytes: Vec<u8> = (0..=u8::MAX).rev().cycle().take(length).collect();
        [Message::text(text), Message::binary(bytes)]
    })
}

async fn messages_from_the_client(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    let mut octets = Vec::new();
    for message in messages() {
        octets.extend(match message {
            Message::Text(text) => frame(FIN | TEXT, text),
            Message::Binary(bytes) => frame(FIN | BINARY, bytes),
        });
    }
    // A server need not take more than has been received.
    let receiving = async {
        for message in messages() {
            received(&mut app, message).await?;
        }
        Ok(())
    };
    tokio::try_join!(client.send(octets), receiving)?;
    app.finish(Step::Return).await
}

/// Receives this message.
async fn received(app: &mut Remote, message: Message) -> Outcome {
    let event = after_connect(app).await?;
    must!(
        event == ReceiveEvent::WebSocketReceive(message.clone()),
        "received {} for {}",
        shown(&event),
        shown(&ReceiveEvent::WebSocketReceive(message))
    );
    Ok(())
}

/// An event without what is long in it.
fn shown(event: &ReceiveEvent) -> String {
    match event {
        ReceiveEvent::WebSocketReceive(message) => {
            let kind = match message {
                Message::Text(_) => "text",
                Message::Binary(_) => "binary",
            };
            format!("a {kind} message of {} bytes", message.len())
        }
        event => format!("{event:?}"),
    }
}

async fn messages_to_the_client(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    let sending: Vec<_> = messages()
        .map(|message| app.begin(Step::Send(message.into())))
        .collect();
    // What was sent has gone out by then, even from a server that waits for more.
    app.begin(Step::Send(WebSocketClose::new(1001).into()));
    for (message, _) in messages().zip(sending) {
        let (kind, payload) = match &message {
            Message::Text(text) => (TEXT, &text.as_bytes()[..]),
            Message::Binary(bytes) => (BINARY, &bytes[..]),
        };
        let got = client.message().await?;
        must!(
            got.first == FIN | kind && got.payload == payload,
            "the client got a message of kind {} and {} bytes for {}",
            got.first & 0x0f,
            got.payload.len(),
            shown(&ReceiveEvent::WebSocketReceive(message))
        );
    }
    app.finish(Step::Return).await
}

async fn a_fragmented_text(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    let euro = "€".as_bytes();
    client.send(frame(TEXT, &euro[..1])).await?;
    client.send(frame(FIN | PING, "")).await?;
    client.send(frame(CONTINUATION, "")).await?;
    client.send(frame(FIN | CONTINUATION, &euro[1..])).await?;
    received(&mut app, Message::text("€")).await?;
    app.finish(Step::Return).await
}

async fn a_fragmented_binary(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    // What is no text cannot be taken for one.
    client.send(frame(BINARY, [0xff, 1])).await?;
    client.send(frame(CONTINUATION, [0xff, 2])).await?;
    client.send(frame(FIN | CONTINUATION, [0xff, 3])).await?;
    let whole = Message::binary(vec![0xff, 1, 0xff, 2, 0xff, 3]);
    received(&mut app, whole).await?;
    app.finish(Step::Return).await
}

async fn pings(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    for payload in [&b""[..], b"payload", &[0xff; 125]] {
        client.send(frame(FIN | PING, payload)).await?;
        let pong = client.frame().await?;
        must!(
            pong.first == FIN | PONG && pong.payload == payload,
            "the ping was answered with {pong:?}"
        );
    }
    client.send(frame(FIN | PONG, "unasked")).await?;
    client.send(text("message")).await?;
    let event = after_connect(&mut app).await?;
    must!(
        event == ReceiveEvent::WebSocketReceive(Message::text("message")),
        "the application received {event:?}"
    );
    app.finish(Step::Return).await
}

async fn an_unanswered_ping(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let settings = Settings {
        ws_ping_interval: Some(Duration::from_millis(20)),
        ws_ping_timeout: Some(Duration::from_millis(20)),
        ..Settings::default()
    };
    let server = bench.server_with(settings).await?;
    let (app, mut client) = open(server, over).await?;
    client.is_closed_with(1011).await?;
    app.finish(Step::Return).await
}

/// The largest message that the server takes where a case is about that, in bytes.
const LIMIT: usize = 1000;

/// Has a server with that limit be sent something.
async fn with_limit(
    bench: &mut Bench<'_>,
    over: Over,
    octets: Vec<u8>,
) -> Outcome<(Remote, WebSocket)> {
    let settings = Settings {
        ws_max_size: Some(LIMIT),
        ..Settings::default()
    };
    let server = bench.server_with(settings).await?;
    let (app, mut client) = open(server, over).await?;
    client.send(octets).await?;
    Ok((app, client))
}

async fn a_message_that_is_too_big(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let message = text(&"x".repeat(LIMIT + 1));
    let (app, client) = with_limit(bench, over, message).await?;
    is_rejected(app, client, 1009).await
}

async fn fragments_that_are_too_big(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let half = "x".repeat(LIMIT / 2 + 1);
    let fragments = [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat();
    let (app, client) = with_limit(bench, over, fragments).await?;
    is_rejected(app, client, 1009).await
}

/// That the WebSocket is closed with this code, which the application is told, too.
async fn is_rejected(mut app: Remote, mut client: WebSocket, code: u16) -> Outcome {
    client.is_closed_with(code).await?;
    is_told(&mut app, code).await?;
    app.finish(Step::Return).await
}

async fn is_told(app: &mut Remote, code: u16) -> Outcome {
    let disconnect = disconnected(app).await?;
    must!(
        disconnect.code == code,
        "the application received {disconnect:?}"
    );
    Ok(())
}

async fn a_message_at_the_limit(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let message = "x".repeat(LIMIT);
    let (mut app, _client) = with_limit(bench, over, text(&message)).await?;
    received(&mut app, Message::text(message)).await?;
    app.finish(Step::Return).await
}

async fn a_text_that_is_not_utf8(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let texts = [
        ("a stray byte", frame(FIN | TEXT, [b'x', 0xff])),
        ("half a character", frame(FIN | TEXT, [0xe2, 0x82])),
        ("a surrogate", frame(FIN | TEXT, [0xed, 0xa0, 0x80])),
        (
            "a stray byte in a later fragment",
            [frame(TEXT, "x"), frame(FIN | CONTINUATION, [0x80])].concat(),
        ),
    ];
    each_is_closed_with(bench, over, 1007, texts).await
}

async fn a_text_that_is_not_utf8_is_told(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    client.send(frame(FIN | TEXT, [0xff])).await?;
    is_told(&mut app, 1007).await?;
    app.finish(Step::Return).await
}

async fn broken_framing(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let unmasked = vec![FIN | TEXT, 1, b'x'];
    let breaches = [
        ("the first reserved bit", frame(FIN | 0x40 | TEXT, "x")),
        ("the second reserved bit", frame(FIN | 0x20 | TEXT, "x")),
        ("the third reserved bit", frame(FIN | 0x10 | TEXT, "x")),
        ("the opcode 3", frame(FIN | 3, "x")),
        ("the opcode 11", frame(FIN | 11, "")),
        ("no mask", unmasked),
        ("a continuation of nothing", frame(FIN | CONTINUATION, "x")),
        (
            "a message within a message",
            [frame(TEXT, "x"), frame(FIN | TEXT, "x")].concat(),
        ),
        ("a ping in parts", frame(PING, "x")),
        ("a ping of 126 bytes", frame(FIN | PING, [0; 126])),
        ("a close frame of one byte", frame(FIN | CLOSE, "x")),
        ("a close frame with 1005", close(1005, "")),
        ("a close frame with 999", close(999, "")),
    ];
    each_is_closed_with(bench, over, 1002, breaches).await
}

async fn each_is_closed_with<const N: usize>(
    bench: &mut Bench<'_>,
    over: Over,
    code: u16,
    sent: [(&str, Vec<u8>); N],
) -> Outcome {
    let server = bench.server().await?;
    for (what, octets) in sent {
        let (app, mut client) = open(server, over).await?;
        client.send(octets).await?;
        let (seen, _) = client.closed().await?;
        must!(seen == code, "after {what} the server closes with {seen}");
        app.finish(Step::Return).await?;
    }
    Ok(())
}

async fn broken_framing_is_told(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    client.send(frame(FIN | 0x40 | TEXT, "x")).await?;
    is_told(&mut app, 1002).await?;
    app.finish(Step::Return).await
}

/// More than the buffers of a connection take, and than any sensible bound of a server, in bytes.
const TOO_MUCH: usize = 32 << 20;

async fn a_client_that_is_not_listened_to(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (app, mut client) = open(server, over).await?;
    let message = text(&"x".repeat(64 << 10));
    let (mut taken, mut waits) = (0, 0);
    while waits < WAITS {
        let rest = &message[taken % message.len()..];
        match client.send_within(WAIT, rest).await? {
            0 => {
                waits += 1;
                server.serves().await?;
            }
            more => {
                waits = 0;
                taken += more;
            }
        }
        must!(
            taken < TOO_MUCH,
            "the server took {taken} bytes that nobody received"
        );
    }
    server
        .log()
        .note(format!("the server has stopped after {taken} bytes"));
    client.reset();
    app.finish(Step::Return).await
}

async fn messages_are_flushed(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    for n in 0..3 {
        app.send(Message::text(n.to_string())).await?;
        let got = client.message().await?;
        must!(
            got.payload == n.to_string(),
            "the client got {got:?} for {n}"
        );
    }
    app.finish(Step::Return).await
}
