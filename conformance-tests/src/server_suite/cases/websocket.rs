//! `websocket.md`: messages and pings.

use std::time::Duration;

use callgate::{Message, ReceiveEvent, WebSocketClose, rule};

use super::steps::{WAIT, WAITS};
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands, recommends,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::{
    BINARY, CONTINUATION, FIN, PING, PONG, TEXT, WebSocket, after_connect, frame, open, text,
};

pub(super) const CASES: &[&[Case]] = &[
    MESSAGES_IN_ORDER,
    FRAGMENTS_ARE_JOINED,
    PINGS_ARE_ANSWERED,
    PING_TIMEOUT,
    BOUNDED_QUEUES,
    SEND_IS_FLUSHED,
];

const MESSAGES_IN_ORDER: &[Case] = &[
    Case {
        rule: rule::MESSAGES_IN_ORDER,
        name: "messages_from_the_client",
        transports: HTTP1_AND_HTTP2,
        does: "Sends text and binary messages, empty, short and long, in one go.",
        must: "The application receives each whole, of its type, in the order sent.",
        basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Receive - receive event")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
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
        }),
    },
    Case {
        rule: rule::MESSAGES_IN_ORDER,
        name: "messages_to_the_client",
        transports: HTTP1_AND_HTTP2,
        does: "The application sends text and binary messages, empty, short and long, and closes.",
        must: "The client gets each whole, of its type, in the order sent.",
        basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Send - send event")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            let sending: Vec<_> = messages()
                .map(|message| app.begin(Step::Send(message.into())))
                .collect();
            // A server that waits for more to send sends everything by then.
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
        }),
    },
];

/// The lengths of messages: empty, and at the limits of each form of a frame's length.
const LENGTHS: [usize; 6] = [0, 1, 125, 126, 65535, 65536];

/// Returns a text and a binary message of each length.
fn messages() -> impl Iterator<Item = Message> {
    LENGTHS.into_iter().flat_map(|length| {
        let text: String = "abcdefghij".chars().cycle().take(length).collect();
        let bytes: Vec<u8> = (0..=u8::MAX).rev().cycle().take(length).collect();
        [Message::text(text), Message::binary(bytes)]
    })
}

/// Receives this message.
pub(super) async fn received(app: &mut ProbeCall, message: Message) -> CaseResult {
    let event = after_connect(app).await?;
    must!(
        event == ReceiveEvent::WebSocketReceive(message.clone()),
        "received {} for {}",
        shown(&event),
        shown(&ReceiveEvent::WebSocketReceive(message))
    );
    Ok(())
}

/// Returns an event as text, without its content.
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

const FRAGMENTS_ARE_JOINED_BASIS: Basis =
    Basis::Standard(&[demands(Rfc(6455), "5.4"), recommends(AsgiHttp, "WebSocket")]);

const FRAGMENTS_ARE_JOINED: &[Case] = &[
    Case {
        rule: rule::FRAGMENTS_ARE_JOINED,
        name: "a_fragmented_text",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a text message in fragments, one of them empty, which tear a character apart, with a ping between them; one by one, and then all at once.",
        must: "The application receives one `websocket.receive`.",
        basis: FRAGMENTS_ARE_JOINED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            let euro = "€".as_bytes();
            let frames = [
                frame(TEXT, &euro[..1]),
                frame(FIN | PING, ""),
                frame(CONTINUATION, ""),
                frame(FIN | CONTINUATION, &euro[1..]),
            ];
            for frame in &frames {
                client.send(frame).await?;
            }
            received(&mut app, Message::text("€")).await?;
            client.send(frames.concat()).await?;
            received(&mut app, Message::text("€")).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::FRAGMENTS_ARE_JOINED,
        name: "a_fragmented_binary",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a binary message in fragments.",
        must: "The application receives one `websocket.receive`.",
        basis: FRAGMENTS_ARE_JOINED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            // The octets are not UTF-8, so the message cannot be a text.
            client.send(frame(BINARY, [0xff, 1])).await?;
            client.send(frame(CONTINUATION, [0xff, 2])).await?;
            client.send(frame(FIN | CONTINUATION, [0xff, 3])).await?;
            let whole = Message::binary(vec![0xff, 1, 0xff, 2, 0xff, 3]);
            received(&mut app, whole).await?;
            app.finish(Step::Return).await
        }),
    },
];

const PINGS_ARE_ANSWERED: &[Case] = &[
    Case {
        rule: rule::PINGS_ARE_ANSWERED,
        name: "pings",
        transports: HTTP1_AND_HTTP2,
        does: "Sends pings, without a payload and with the longest, a pong, and then a message, while the application receives.",
        must: "Each ping is answered with a pong of the same payload, and the application receives the message only.",
        basis: Basis::Standard(&[demands(Rfc(6455), "5.5.2"), demands(Rfc(6455), "5.5.3")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            // The first receive yields `websocket.connect`.
            let receives = [(); 3].map(|()| app.begin(Step::Receive));
            expect_pongs(&mut client).await?;
            client.send(frame(FIN | PONG, "unasked")).await?;
            client.send(text("message")).await?;
            for receiving in receives {
                let event = app.received(Some(receiving)).await?;
                if event != ReceiveEvent::WebSocketConnect {
                    must!(
                        event == ReceiveEvent::WebSocketReceive(Message::text("message")),
                        "the application received {event:?}"
                    );
                    break;
                }
            }
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::PINGS_ARE_ANSWERED,
        name: "pings_while_the_application_does_not_receive",
        transports: HTTP1_AND_HTTP2,
        does: "Sends pings while the application does not receive.",
        must: "Each ping is answered with a pong of the same payload.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 5.5.2 sets no time: a server may read only while the application receives",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (app, mut client) = open(server, transport).await?;
            expect_pongs(&mut client).await?;
            app.finish(Step::Return).await
        }),
    },
];

async fn expect_pongs(client: &mut WebSocket) -> CaseResult {
    for payload in [&b""[..], b"payload", &[0xff; 125]] {
        client.send(frame(FIN | PING, payload)).await?;
        let pong = client.frame().await?;
        must!(
            pong.first == FIN | PONG && pong.payload == payload,
            "the ping was answered with {pong:?}"
        );
    }
    Ok(())
}

const PING_TIMEOUT: &[Case] = &[Case {
    rule: rule::PING_TIMEOUT,
    name: "an_unanswered_ping",
    transports: HTTP1_AND_HTTP2,
    does: "Leaves the server's ping unanswered.",
    must: "The WebSocket is closed with 1011.",
    basis: Basis::CallgateOnly("ASGI does not say what becomes of a client that answers no ping"),
    steps: steps!(async |fixture, transport| {
        let settings = ServerSettings {
            ws_ping_interval: Some(Duration::from_millis(20)),
            ws_ping_timeout: Some(Duration::from_millis(20)),
            ..ServerSettings::default()
        };
        let server = fixture.server_with(settings).await?;
        let (app, mut client) = open(server, transport).await?;
        client.expect_close_code(1011).await?;
        app.finish(Step::Return).await
    }),
}];

const BOUNDED_QUEUES: &[Case] = &[Case {
    rule: rule::BOUNDED_QUEUES,
    name: "a_client_that_is_not_listened_to",
    transports: HTTP1_AND_HTTP2,
    does: "Sends messages for as long as the server takes them, while the application receives none.",
    must: "The server stops taking them before it has taken 32 MiB.",
    basis: Basis::CallgateOnly("ASGI leaves it to the server how much it buffers"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let (app, mut client) = open(server, transport).await?;
        let message = text(&"x".repeat(64 << 10));
        let (mut taken, mut waits) = (0, 0);
        while waits < WAITS {
            let rest = &message[taken % message.len()..];
            match client.send_within(WAIT, rest).await? {
                0 => {
                    waits += 1;
                    server.expect_served().await?;
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
    }),
}];

/// More than the buffers of a connection take, and than any sensible bound of a server, in bytes.
const TOO_MUCH: usize = 32 << 20;

const SEND_IS_FLUSHED: &[Case] = &[Case {
    rule: rule::SEND_IS_FLUSHED,
    name: "messages_are_flushed",
    transports: HTTP1_AND_HTTP2,
    does: "The application sends a message, and no other before the client has it.",
    must: "The client gets it.",
    basis: Basis::CallgateOnly(
        "ASGI demands a flush of response bodies, and does not speak of messages",
    ),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let (mut app, mut client) = open(server, transport).await?;
        for n in 0..3 {
            app.send(Message::text(n.to_string())).await?;
            let got = client.message().await?;
            must!(
                got.payload == n.to_string(),
                "the client got {got:?} for {n}"
            );
        }
        app.finish(Step::Return).await
    }),
}];
