//! `features.md`: compression.

use callgate::{Feature, Message, Scope, WebSocketAccept, rule};

use super::websocket::received;
use crate::Verdict;
use crate::basis::{Basis, Document::Rfc, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::deflate::{Accepted, EXTENSIONS, open_compressed, open_with_offers};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::{
    BINARY, COMPRESSED, CONTINUATION, FIN, PING, TEXT, WebSocket, begin_handshake, close,
    expect_disconnect_code, frame, handshake, text,
};

pub(super) const CASES: &[&[Case]] = &[
    DEFLATE_OFFERED,
    DEFLATE_NEGOTIATED,
    DEFLATE_IS_TRANSPARENT,
    DEFLATE_LIMIT,
    DEFLATE_ERRORS,
];

const DEFLATE_OFFERED: &[Case] = &[
    Case {
        rule: rule::DEFLATE_OFFERED,
        name: "compression_that_the_client_offers",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a handshake that offers compression.",
        must: "The scope lists the feature if the answer accepts the offer, and only then.",
        basis: Basis::CallgateOnly("ASGI does not tell the application of compression"),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (app, _client, accepted) =
                open_with_offers(server, transport, "permessage-deflate").await?;
            is_listed(&app, accepted.is_some())?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::DEFLATE_OFFERED,
        name: "compression_that_the_client_does_not_offer",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a handshake that offers no extension.",
        must: "The scope does not list the feature, and the answer has no extension.",
        basis: Basis::Standard(&[demands(Rfc(6455), "9.1")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let pending = begin_handshake(server, transport, &handshake()).await?;
            let mut app = server.call().await?;
            is_listed(&app, false)?;
            app.send(WebSocketAccept::new()).await?;
            let (response, _client) = pending.answered(server).await?;
            let answer = response.field(EXTENSIONS);
            must!(answer.is_none(), "the server accepts {answer:?}");
            app.finish(Step::Return).await
        }),
    },
];

fn is_listed(app: &ProbeCall, expected: bool) -> CaseResult {
    let Scope::WebSocket(scope) = app.scope() else {
        return Err(Verdict::failed("the call is of another kind of scope"));
    };
    let is_listed = scope.features.contains(Feature::PerMessageDeflate);
    must!(
        is_listed == expected,
        "the scope lists {:?}",
        scope.features
    );
    Ok(())
}

const DEFLATE_NEGOTIATED: &[Case] = &[
    Case {
        rule: rule::DEFLATE_NEGOTIATED,
        name: "invalid_offers",
        transports: HTTP1,
        does: "Offers other extensions, and compression with unknown, repeated and malformed parameters.",
        must: "No answer accepts an offer.",
        basis: Basis::Standard(&[demands(Rfc(7692), "7")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            for offer in INVALID_OFFERS {
                let (_, accepted) = answer_to_offers(server, offer).await?;
                must!(
                    accepted.is_none(),
                    "the server accepts `{offer}` with {accepted:?}"
                );
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFLATE_NEGOTIATED,
        name: "invalid_offers_alone",
        transports: HTTP1,
        does: "Offers other extensions, and compression with unknown, repeated and malformed parameters.",
        must: "The WebSocket is opened.",
        basis: Basis::CallgateOnly("RFC 7692 does not forbid to refuse such a handshake"),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            for offer in INVALID_OFFERS {
                let (status, _) = answer_to_offers(server, offer).await?;
                must!(
                    status == 101,
                    "the handshake with `{offer}` was answered with {status}"
                );
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFLATE_NEGOTIATED,
        name: "parameters_of_an_offer",
        transports: HTTP1,
        does: "Offers compression with each parameter.",
        must: "An answer that accepts the offer has the parameters for the server, and none that the offer does not permit.",
        basis: Basis::Standard(&[
            demands(Rfc(7692), "7.1.1.1"),
            demands(Rfc(7692), "7.1.2.1"),
            demands(Rfc(7692), "7.1.2.2"),
        ]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            for offer in [
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
                "permessage-deflate; server_max_window_bits=10",
                "permessage-deflate; client_max_window_bits=10",
                "permessage-deflate; client_max_window_bits",
            ] {
                let (app, _client, accepted) =
                    open_with_offers(server, Transport::Http1, offer).await?;
                if let Some(accepted) = accepted {
                    is_permitted(offer, &accepted)?;
                }
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFLATE_NEGOTIATED,
        name: "an_acceptable_offer_after_an_invalid_one",
        transports: HTTP1,
        does: "Offers compression twice, first with an unknown parameter.",
        must: "An answer that accepts an offer accepts the second one.",
        basis: Basis::Standard(&[demands(Rfc(7692), "7")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let second = "permessage-deflate; server_max_window_bits=11";
            let offers = format!("permessage-deflate; unknown_parameter, {second}");
            match answer_to_offers(server, &offers).await? {
                (_, Some(accepted)) => is_permitted(second, &accepted),
                (_, None) => Ok(()),
            }
        }),
    },
];

/// Offers of which a server accepts none.
const INVALID_OFFERS: [&str; 7] = [
    "x-other",
    "permessage-deflate; unknown_parameter",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=7",
];

/// Sends a handshake with these offers, which the application accepts if it is called. Returns the status of the
/// answer, and the offer that it accepts.
async fn answer_to_offers(
    server: &mut Server,
    offers: &str,
) -> CaseResult<(u16, Option<Accepted>)> {
    let request = handshake()
        .field(EXTENSIONS, offers)
        .sends(WebSocketAccept::new())
        .step(Step::Return);
    let pending = begin_handshake(server, Transport::Http1, &request).await?;
    let (response, _client) = pending.answered(server).await?;
    server.pass_over_calls().await?;
    Ok((response.status, Accepted::of(&response)?))
}

/// Checks that an answer keeps to an offer (RFC 7692, 7.1.1 and 7.1.2).
fn is_permitted(offer: &str, accepted: &Accepted) -> CaseResult {
    let offers = |name: &str| offer.contains(name);
    for name in accepted.names() {
        let may_be_added = matches!(
            name,
            "server_no_context_takeover" | "client_no_context_takeover" | "server_max_window_bits"
        );
        must!(
            may_be_added || offers(name),
            "`{offer}` is answered with {accepted:?}"
        );
    }
    must!(
        !offers("server_no_context_takeover") || accepted.has("server_no_context_takeover"),
        "`{offer}` is answered with {accepted:?}"
    );
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let Some((_, limit)) = offer.split_once(&format!("{name}=")) else {
            continue;
        };
        let limit: u8 = limit.parse().unwrap_or_default();
        let is_kept = match accepted.bits(name) {
            Some(bits) => (8..=limit).contains(&bits),
            // The server need not limit the client.
            None => name == "client_max_window_bits",
        };
        must!(is_kept, "`{offer}` is answered with {accepted:?}");
    }
    Ok(())
}

/// The offers with which messages are exchanged.
const OFFERS: [&str; 3] = [
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
];

const DEFLATE_IS_TRANSPARENT: &[Case] = &[
    Case {
        rule: rule::DEFLATE_IS_TRANSPARENT,
        name: "compressed_messages_from_the_client",
        transports: HTTP1_AND_HTTP2,
        does: "Sends messages that are compressed, in one frame and in fragments with a ping between them, and one that is not.",
        must: "The application receives each as it was before it was compressed.",
        basis: Basis::Standard(&[demands(Rfc(7692), "6.2"), demands(Rfc(7692), "7.2.2")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            for offer in OFFERS {
                let (mut app, mut client, mut deflate) =
                    open_compressed(server, transport, offer).await?;
                for _ in 0..2 {
                    for message in messages() {
                        let (kind, payload) = parts(&message);
                        let compressed = deflate.compress(payload);
                        client
                            .send(frame(FIN | COMPRESSED | kind, compressed))
                            .await?;
                        received(&mut app, message).await?;
                    }
                    let whole = deflate.compress("Hello, Hello, Hello".as_bytes());
                    let (first, second) = whole.split_at(3);
                    client.send(frame(COMPRESSED | TEXT, first)).await?;
                    client.send(frame(FIN | PING, "")).await?;
                    client.send(frame(CONTINUATION, "")).await?;
                    client.send(frame(FIN | CONTINUATION, second)).await?;
                    received(&mut app, Message::text("Hello, Hello, Hello")).await?;
                    client.send(text("not compressed")).await?;
                    received(&mut app, Message::text("not compressed")).await?;
                }
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFLATE_IS_TRANSPARENT,
        name: "compressed_messages_to_the_client",
        transports: HTTP1_AND_HTTP2,
        does: "The application sends messages, short and long, each of them twice.",
        must: "The client gets each, after inflation where it is compressed.",
        basis: Basis::Standard(&[demands(Rfc(7692), "6.1"), demands(Rfc(7692), "7.2.1")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            for offer in OFFERS {
                let (mut app, mut client, mut deflate) =
                    open_compressed(server, transport, offer).await?;
                for message in messages().chain(messages()) {
                    app.send(message.clone()).await?;
                    let got = client.message().await?;
                    let (kind, payload) = parts(&message);
                    must!(
                        got.first & 0x0f == kind && deflate.inflate(&got)? == payload,
                        "the client got `{}` for `{}`",
                        got.payload.escape_ascii(),
                        payload.escape_ascii()
                    );
                }
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
];

/// Creates messages of which a server compresses some and sends the others uncompressed.
fn messages() -> impl Iterator<Item = Message> {
    let numbers: String = (0..2000).map(|n| format!("{n}, ")).collect();
    let squares: Vec<u8> = (0..500_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    [
        Message::text(""),
        Message::text("short"),
        Message::text("repeated, ".repeat(100)),
        Message::binary(squares),
        Message::text(numbers),
    ]
    .into_iter()
}

fn parts(message: &Message) -> (u8, &[u8]) {
    match message {
        Message::Text(text) => (TEXT, text.as_bytes()),
        Message::Binary(bytes) => (BINARY, bytes),
    }
}

const LIMIT_BASIS: Basis =
    Basis::CallgateOnly("RFC 7692 does not say which form of a message a limit is for");

const DEFLATE_LIMIT: &[Case] = &[
    Case {
        rule: rule::DEFLATE_LIMIT,
        name: "a_message_that_inflates_beyond_the_limit",
        transports: HTTP1_AND_HTTP2,
        does: "Sends small compressed messages, each on a WebSocket of its own, that inflate to one byte more than the limit and to 1000 times the limit.",
        must: "Each WebSocket is closed with 1009, and the application receives `websocket.disconnect` with that code.",
        basis: LIMIT_BASIS,
        steps: steps!(async |fixture, transport| {
            for size in [LIMIT + 1, LIMIT * 1000] {
                let (mut app, _client) = with_limit(fixture, transport, size).await?;
                expect_disconnect_code(&mut app, 1009).await?;
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFLATE_LIMIT,
        name: "a_message_that_inflates_to_the_limit",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a compressed message that inflates to the limit.",
        must: "The application receives it.",
        basis: LIMIT_BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut app, _client) = with_limit(fixture, transport, LIMIT).await?;
            received(&mut app, Message::text("x".repeat(LIMIT))).await?;
            app.finish(Step::Return).await
        }),
    },
];

/// The limit of the server, in bytes.
const LIMIT: usize = 1000;

/// Sends a message that inflates to this many bytes to a server with the limit. If the message is too
/// large, the close frame of the server is checked.
async fn with_limit(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    size: usize,
) -> CaseResult<(ProbeCall, WebSocket)> {
    let settings = ServerSettings {
        ws_max_size: Some(LIMIT),
        ..ServerSettings::default()
    };
    let server = fixture.server_with(settings).await?;
    let (app, mut client, mut deflate) = open_compressed(server, transport, OFFERS[0]).await?;
    let compressed = deflate.compress("x".repeat(size).as_bytes());
    must!(
        compressed.len() <= size / 2,
        "the message has {} bytes",
        compressed.len()
    );
    client
        .send(frame(FIN | COMPRESSED | TEXT, compressed))
        .await?;
    if size > LIMIT {
        client.expect_close_code(1009).await?;
    }
    Ok((app, client))
}

const DEFLATE_ERRORS: &[Case] = &[
    Case {
        rule: rule::DEFLATE_ERRORS,
        name: "compressed_frames_out_of_place",
        transports: HTTP1_AND_HTTP2,
        does: "Sets the first reserved bit in a ping, a close frame and a continuation, and the second in a message, each on a WebSocket of its own.",
        must: "Each WebSocket is closed with 1002, and the application receives `websocket.disconnect` with that code.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 7.1.7 permits to fail a connection without a close frame",
        ),
        steps: steps!(async |fixture, transport| {
            let mut closing = close(1000, "");
            closing[0] |= COMPRESSED;
            let frames = [
                frame(FIN | COMPRESSED | PING, ""),
                closing,
                [
                    frame(COMPRESSED | TEXT, ""),
                    frame(FIN | COMPRESSED | CONTINUATION, [0]),
                ]
                .concat(),
                frame(FIN | 0x20 | TEXT, ""),
            ];
            expect_each_closed(fixture, transport, 1002, &frames).await
        }),
    },
    Case {
        rule: rule::DEFLATE_ERRORS,
        name: "messages_that_cannot_be_inflated",
        transports: HTTP1_AND_HTTP2,
        does: "Sends compressed messages, each on a WebSocket of its own, with a block of a reserved type and with a distance beyond the first byte.",
        must: "Each WebSocket is closed with 1007, and the application receives `websocket.disconnect` with that code.",
        basis: Basis::CallgateOnly("RFC 7692 does not say which code closes the WebSocket"),
        steps: steps!(async |fixture, transport| {
            let frames = [
                frame(FIN | COMPRESSED | TEXT, [0xff; 8]),
                // RFC 7692, 7.2.3.2: the second message, without the first.
                frame(FIN | COMPRESSED | TEXT, [0xf2, 0x00, 0x11, 0x00, 0x00]),
            ];
            expect_each_closed(fixture, transport, 1007, &frames).await
        }),
    },
];

/// Checks that each of these frames closes a WebSocket with this code.
async fn expect_each_closed(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    code: u16,
    frames: &[Vec<u8>],
) -> CaseResult {
    let server = fixture.server().await?;
    for octets in frames {
        let (mut app, mut client, _) = open_compressed(server, transport, OFFERS[0]).await?;
        client.send(octets).await?;
        client.expect_close_code(code).await?;
        expect_disconnect_code(&mut app, code).await?;
        app.finish(Step::Return).await?;
    }
    Ok(())
}
