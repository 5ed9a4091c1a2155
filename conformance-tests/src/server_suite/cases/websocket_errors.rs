//! `websocket.md`: clients that break RFC 6455 or a limit.

use callgate::{Message, rule};

use super::websocket::received;
use crate::basis::Basis;
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::{
    CLOSE, CONTINUATION, FIN, PING, TEXT, WebSocket, close, expect_disconnect_code, frame, open,
    text,
};

pub(super) const CASES: &[&[Case]] = &[MESSAGE_TOO_BIG, INVALID_UTF8, PROTOCOL_ERROR];

const MESSAGE_TOO_BIG_BASIS: Basis = Basis::CallgateOnly(
    "ASGI does not say with which code a message above a limit closes the WebSocket",
);

const MESSAGE_TOO_BIG: &[Case] = &[
    Case {
        rule: rule::MESSAGE_TOO_BIG,
        name: "a_message_that_is_too_big",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a message of one byte more than the limit.",
        must: "The WebSocket is closed with 1009, and the application receives `websocket.disconnect` with that code.",
        basis: MESSAGE_TOO_BIG_BASIS,
        steps: steps!(async |fixture, transport| {
            let message = text(&"x".repeat(LIMIT + 1));
            let (app, client) = with_limit(fixture, transport, message).await?;
            expect_close_and_disconnect(app, client, 1009).await
        }),
    },
    Case {
        rule: rule::MESSAGE_TOO_BIG,
        name: "fragments_that_are_too_big",
        transports: HTTP1_AND_HTTP2,
        does: "Sends fragments that are together larger than the limit.",
        must: "The WebSocket is closed with 1009, and the application receives `websocket.disconnect` with that code.",
        basis: MESSAGE_TOO_BIG_BASIS,
        steps: steps!(async |fixture, transport| {
            let half = "x".repeat(LIMIT / 2 + 1);
            let fragments = [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat();
            let (app, client) = with_limit(fixture, transport, fragments).await?;
            expect_close_and_disconnect(app, client, 1009).await
        }),
    },
    Case {
        rule: rule::MESSAGE_TOO_BIG,
        name: "a_message_at_the_limit",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a message that is as large as the limit.",
        must: "The application receives it.",
        basis: Basis::CallgateOnly(
            "No standard has a limit of messages that a server can be set to",
        ),
        steps: steps!(async |fixture, transport| {
            let message = "x".repeat(LIMIT);
            let (mut app, _client) = with_limit(fixture, transport, text(&message)).await?;
            received(&mut app, Message::text(message)).await?;
            app.finish(Step::Return).await
        }),
    },
];

/// The largest message that the server takes where a case is about that, in bytes.
const LIMIT: usize = 1000;

/// Has a server with that limit be sent something.
async fn with_limit(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    octets: Vec<u8>,
) -> CaseResult<(ProbeCall, WebSocket)> {
    let settings = ServerSettings {
        ws_max_size: Some(LIMIT),
        ..ServerSettings::default()
    };
    let server = fixture.server_with(settings).await?;
    let (app, mut client) = open(server, transport).await?;
    client.send(octets).await?;
    Ok((app, client))
}

/// Checks that the client and the application receive this code.
async fn expect_close_and_disconnect(
    mut app: ProbeCall,
    mut client: WebSocket,
    code: u16,
) -> CaseResult {
    client.expect_close_code(code).await?;
    expect_disconnect_code(&mut app, code).await?;
    app.finish(Step::Return).await
}

const INVALID_UTF8: &[Case] = &[
    Case {
        rule: rule::INVALID_UTF8,
        name: "a_text_that_is_not_utf8",
        transports: HTTP1_AND_HTTP2,
        does: "Sends text messages that are not UTF-8, each on a WebSocket of its own: a stray byte, half a character, an encoded surrogate, a stray byte in a later fragment.",
        must: "Each is closed with 1007.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 7.1.7 permits to fail a connection without a close frame",
        ),
        steps: steps!(async |fixture, transport| {
            let texts = [
                ("a stray byte", frame(FIN | TEXT, [b'x', 0xff])),
                ("half a character", frame(FIN | TEXT, [0xe2, 0x82])),
                ("a surrogate", frame(FIN | TEXT, [0xed, 0xa0, 0x80])),
                (
                    "a stray byte in a later fragment",
                    [frame(TEXT, "x"), frame(FIN | CONTINUATION, [0x80])].concat(),
                ),
            ];
            expect_each_closed(fixture, transport, 1007, texts).await
        }),
    },
    Case {
        rule: rule::INVALID_UTF8,
        name: "a_text_that_is_not_utf8_is_told",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a text message that is not UTF-8.",
        must: "The application receives `websocket.disconnect` with 1007.",
        basis: Basis::CallgateOnly(
            "ASGI does not say which code the application receives when the client breaks RFC 6455",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            client.send(frame(FIN | TEXT, [0xff])).await?;
            expect_disconnect_code(&mut app, 1007).await?;
            app.finish(Step::Return).await
        }),
    },
];

async fn expect_each_closed<const N: usize>(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    code: u16,
    sent: [(&str, Vec<u8>); N],
) -> CaseResult {
    let server = fixture.server().await?;
    for (what, octets) in sent {
        let (app, mut client) = open(server, transport).await?;
        client.send(octets).await?;
        let (seen, _) = client.closed().await?;
        must!(seen == code, "after {what} the server closes with {seen}");
        app.finish(Step::Return).await?;
    }
    Ok(())
}

const PROTOCOL_ERROR: &[Case] = &[
    Case {
        rule: rule::PROTOCOL_ERROR,
        name: "broken_framing",
        transports: HTTP1_AND_HTTP2,
        does: "Breaks RFC 6455, each time on a WebSocket of its own: reserved bits, reserved opcodes, no mask, fragments out of turn, control frames in parts or too long, and close frames that are malformed.",
        must: "Each is closed with 1002.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 7.1.7 permits to fail a connection without a close frame",
        ),
        steps: steps!(async |fixture, transport| {
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
            expect_each_closed(fixture, transport, 1002, breaches).await
        }),
    },
    Case {
        rule: rule::PROTOCOL_ERROR,
        name: "broken_framing_is_told",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a frame with a reserved bit set.",
        must: "The application receives `websocket.disconnect` with 1002.",
        basis: Basis::CallgateOnly(
            "ASGI does not say which code the application receives when the client breaks RFC 6455",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            client.send(frame(FIN | 0x40 | TEXT, "x")).await?;
            expect_disconnect_code(&mut app, 1002).await?;
            app.finish(Step::Return).await
        }),
    },
];
