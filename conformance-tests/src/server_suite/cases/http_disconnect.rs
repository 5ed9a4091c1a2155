//! `http.md`: content that does not come whole, and clients that go away.

use callgate::{HttpResponseBody, HttpResponseStart, ReceiveEvent, rule};

use super::steps::{content, events, expect_response, receive_disconnect, respond};
use crate::basis::{Basis, Document::AsgiHttp, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, ResponsePart, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};

pub(super) const CASES: &[&[Case]] = &[
    NO_SHORT_BODY,
    RECEIVE_AFTER_BODY,
    DISCONNECT_IS_TOLD,
    HALF_CLOSE,
    HALF_CLOSE_IS_ANSWERED,
    MALFORMED_CONTENT,
];

const NO_SHORT_BODY_BASIS: Basis = Basis::CallgateOnly(
    "ASGI lets a server call the application only when the content is complete",
);

const NO_SHORT_BODY: &[Case] = &[
    Case {
        rule: rule::NO_SHORT_BODY,
        name: "a_length_that_is_not_reached",
        transports: HTTP1,
        does: "Ends the connection in order, before all that `content-length` says has been sent.",
        must: "The application receives `http.disconnect`, and before it no event with `more_body` unset.",
        basis: NO_SHORT_BODY_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("content-length", "10");
            content_breaks_off(fixture, request, "first", true).await
        }),
    },
    Case {
        rule: rule::NO_SHORT_BODY,
        name: "chunks_without_the_last",
        transports: HTTP1,
        does: "Ends the connection in order, after a chunk and before the last chunk.",
        must: "The application receives `http.disconnect`, and before it no event with `more_body` unset.",
        basis: NO_SHORT_BODY_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
            content_breaks_off(fixture, request, "5\r\nfirst\r\n", true).await
        }),
    },
    Case {
        rule: rule::NO_SHORT_BODY,
        name: "a_chunk_that_breaks_off",
        transports: HTTP1,
        does: "Resets the connection in the middle of a chunk.",
        must: "The application receives `http.disconnect`, and before it no event with `more_body` unset.",
        basis: NO_SHORT_BODY_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
            content_breaks_off(fixture, request, "5\r\nfir", false).await
        }),
    },
    Case {
        rule: rule::NO_SHORT_BODY,
        name: "a_stream_that_is_reset",
        transports: HTTP2,
        does: "Resets the stream before its end.",
        must: "The application receives `http.disconnect`, and before it no event with `more_body` unset.",
        basis: NO_SHORT_BODY_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = Request::new("POST", "/");
            let mut exchange =
                ClientExchange::begin_content(server, Transport::Http2, request, 10).await?;
            exchange.send("first", false).await?;
            let mut app = server.call().await?;
            let receiving = app.begin(Step::ReceiveBody);
            let _connection = exchange.reset();
            is_disconnect(app, receiving).await
        }),
    },
];

/// Sends a request and these octets of its content, and then goes away: in order or not.
async fn content_breaks_off(
    fixture: &mut Fixture<'_>,
    request: Request,
    octets: &str,
    in_order: bool,
) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    client.send(octets).await?;
    let mut app = server.call().await?;
    let receiving = app.begin(Step::ReceiveBody);
    if in_order {
        client.half_close().await?;
        is_disconnect(app, receiving).await
    } else {
        client.reset();
        is_disconnect(app, receiving).await
    }
}

/// Checks that the events of the application end with a disconnect.
async fn is_disconnect(mut app: ProbeCall, receiving: u64) -> CaseResult {
    let events = events(&mut app, receiving).await?;
    must!(
        events.last() == Some(&ReceiveEvent::HttpDisconnect),
        "the content ended with {:?}",
        events.last()
    );
    app.finish(Step::Decline).await
}

const RECEIVE_AFTER_BODY: &[Case] = &[Case {
    rule: rule::RECEIVE_AFTER_BODY,
    name: "a_receive_after_the_content",
    transports: HTTP1_AND_HTTP2,
    does: "Has the application receive once more, and then complete its response.",
    must: "The receive is pending before and yields `http.disconnect` after.",
    basis: Basis::CallgateOnly(
        "ASGI speaks of a receive that is called after the response, not of one that is pending before",
    ),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let request = Request::new("POST", "/").body("content");
        let mut exchange = ClientExchange::begin(server, transport, &request).await?;
        let mut app = server.call().await?;
        content(&mut app).await?;
        let receiving = app.begin(Step::Receive);
        exchange.fence(server).await?;
        must!(
            app.is_pending(receiving).await?,
            "a receive after the content is not pending"
        );
        respond(&mut app, "answer").await?;
        exchange.response().await?;
        let event = app.received(Some(receiving)).await?;
        must!(event == ReceiveEvent::HttpDisconnect, "received {event:?}");
        app.finish(Step::Return).await
    }),
}];

const DISCONNECT_IS_TOLD_BASIS: Basis =
    Basis::Standard(&[demands(AsgiHttp, "HTTP: Disconnect - receive event")]);

const DISCONNECT_IS_TOLD: &[Case] = &[
    Case {
        rule: rule::DISCONNECT_IS_TOLD,
        name: "gone_while_waiting",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, before the response is started.",
        must: "The application receives `http.disconnect`.",
        basis: DISCONNECT_IS_TOLD_BASIS,
        steps: steps!(async |fixture, transport| {
            disconnect_in_phase(fixture, transport, Phase::Waiting).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_IS_TOLD,
        name: "gone_while_started",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, between the start and the first body event.",
        must: "The application receives `http.disconnect`.",
        basis: DISCONNECT_IS_TOLD_BASIS,
        steps: steps!(async |fixture, transport| {
            disconnect_in_phase(fixture, transport, Phase::Started).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_IS_TOLD,
        name: "gone_while_streaming",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, in the middle of the response.",
        must: "The application receives `http.disconnect`.",
        basis: DISCONNECT_IS_TOLD_BASIS,
        steps: steps!(async |fixture, transport| {
            disconnect_in_phase(fixture, transport, Phase::Streaming).await
        }),
    },
];

/// The part of the response that the application has sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Started,
    Streaming,
}

/// Resets the connection in this phase of the response, and expects `http.disconnect`.
async fn disconnect_in_phase(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    phase: Phase,
) -> CaseResult {
    let server = fixture.server().await?;
    let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.receive().await?;
    if phase != Phase::Waiting {
        app.send(HttpResponseStart::ok()).await?;
    }
    if phase == Phase::Streaming {
        app.send(HttpResponseBody::part("begun")).await?;
        exchange.head().await?;
        let begun = exchange.next().await?;
        must!(
            matches!(begun, ResponsePart::Content(_)),
            "the client saw {begun}"
        );
    }
    let _connection = exchange.reset();
    receive_disconnect(&mut app).await?;
    app.finish(Step::Decline).await
}

const HALF_CLOSE_IS_ANSWERED: &[Case] = &[Case {
    rule: rule::HALF_CLOSE_IS_ANSWERED,
    name: "half_closed_after_the_request",
    transports: HTTP1,
    does: "Ends the sending side of the connection right after the request; the application responds at once.",
    must: "The client gets the whole response.",
    basis: Basis::CallgateOnly(
        "ASGI does not say whether a half-closed connection is a disconnect",
    ),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let mut client = server.connect().await?;
        client.send(Request::get("/").http1()).await?;
        client.half_close().await?;
        let mut app = server.call().await?;
        respond(&mut app, "answered").await?;
        let response = client.response().await?;
        expect_response(&response, "answered")?;
        app.finish(Step::Return).await
    }),
}];

const HALF_CLOSE: &[Case] = &[Case {
    rule: rule::HALF_CLOSE,
    name: "half_closed_while_waiting",
    transports: HTTP1,
    does: "Ends the sending side of the connection before the response.",
    must: "The application receives `http.disconnect` within a limited time, and the client no response.",
    basis: Basis::CallgateOnly(
        "ASGI does not say whether a half-closed connection is a disconnect",
    ),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let mut client = server.connect().await?;
        client.send(Request::get("/").http1()).await?;
        let mut app = server.call().await?;
        app.receive().await?;
        client.half_close().await?;
        receive_disconnect(&mut app).await?;
        app.finish(Step::Decline).await?;
        let (rest, _) = client.read_to_any_end().await?;
        must!(
            rest.is_empty(),
            "the client was sent `{}`",
            rest.escape_ascii()
        );
        Ok(())
    }),
}];

const MALFORMED_CONTENT_BASIS: Basis = Basis::CallgateOnly(
    "ASGI lets a server call the application before it has read the content, and does not say what follows",
);

const MALFORMED_CONTENT: &[Case] = &[
    Case {
        rule: rule::MALFORMED_CONTENT,
        name: "a_chunk_size_that_is_no_number",
        transports: HTTP1,
        does: "Sends a chunk of size `zz`.",
        must: "The answer is 400, and the connection is closed.",
        basis: MALFORMED_CONTENT_BASIS,
        steps: steps!(async |fixture| { malformed(fixture, "zz\r\n").await }),
    },
    Case {
        rule: rule::MALFORMED_CONTENT,
        name: "a_negative_chunk_size",
        transports: HTTP1,
        does: "Sends a chunk of size `-1`.",
        must: "The answer is 400, and the connection is closed.",
        basis: MALFORMED_CONTENT_BASIS,
        steps: steps!(async |fixture| { malformed(fixture, "-1\r\n").await }),
    },
    Case {
        rule: rule::MALFORMED_CONTENT,
        name: "a_chunk_size_beyond_64_bits",
        transports: HTTP1,
        does: "Sends a chunk of a size that has 17 hexadecimal digits.",
        must: "The answer is 400, and the connection is closed.",
        basis: MALFORMED_CONTENT_BASIS,
        steps: steps!(async |fixture| { malformed(fixture, "fffffffffffffffff\r\n").await }),
    },
    Case {
        rule: rule::MALFORMED_CONTENT,
        name: "a_chunk_longer_than_its_size",
        transports: HTTP1,
        does: "Sends six bytes in a chunk of size 3.",
        must: "The answer is 400, and the connection is closed.",
        basis: MALFORMED_CONTENT_BASIS,
        steps: steps!(async |fixture| { malformed(fixture, "3\r\nabcdef\r\n").await }),
    },
    Case {
        rule: rule::MALFORMED_CONTENT,
        name: "a_line_feed_in_a_chunk_extension",
        transports: HTTP1,
        does: "Ends the line with a chunk's size and extension with a bare line feed.",
        must: "The answer is 400, and the connection is closed.",
        basis: MALFORMED_CONTENT_BASIS,
        steps: steps!(async |fixture| { malformed(fixture, "3;name\nabc\r\n0\r\n\r\n").await }),
    },
];

/// Sends these octets as chunked content, while the application receives.
async fn malformed(fixture: &mut Fixture<'_>, chunks: &str) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    client.send(request.http1()).await?;
    client.send(chunks).await?;
    let mut app = server.call().await?;
    app.begin(Step::ReceiveBody);
    let answer = client.response().await?;
    must!(answer.status == 400, "the answer is {}", answer.status);
    client.expect_closed().await?;
    app.finish(Step::Decline).await
}
