//! `websocket.md`: the handshake, and its answer by the application.

use callgate::{ReceiveEvent, WebSocketAccept, WebSocketClose, WebSocketDisconnect, rule};

use crate::basis::{Basis, Document::AsgiHttp, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::{
    PendingHandshake, begin_handshake, disconnected, expect_disconnect_code, handshake, text,
};

pub(super) const CASES: &[&[Case]] = &[
    CONNECT_FIRST,
    HANDSHAKE_WAITS,
    CLOSE_BEFORE_ACCEPT_IS_403,
    FAILURE_BEFORE_ACCEPT_IS_500,
    DISCONNECT_BEFORE_ACCEPT,
    ACCEPT_HEADERS_KEPT,
    SHUTDOWN_BEFORE_ACCEPT_IS_503,
];

const CONNECT_FIRST: &[Case] = &[Case {
    rule: rule::CONNECT_FIRST,
    name: "connect_comes_first",
    transports: HTTP1_AND_HTTP2,
    does: "Opens a WebSocket and sends a message; the application receives three times.",
    must: "It receives `websocket.connect`, then the message, and no other `websocket.connect`.",
    basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Connect - receive event")]),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let pending = begin_handshake(server, transport, &handshake()).await?;
        let mut app = server.call().await?;
        let first = app.receive().await?;
        must!(
            first == ReceiveEvent::WebSocketConnect,
            "first came {first:?}"
        );
        app.send(WebSocketAccept::new()).await?;
        let mut client = pending.opened(server).await?;
        client.send(text("message")).await?;
        let second = app.receive().await?;
        must!(
            second != ReceiveEvent::WebSocketConnect,
            "`websocket.connect` came twice"
        );
        let third = app.begin(Step::Receive);
        must!(
            app.is_pending(third).await?,
            "after the one message came {:?}",
            app.received(Some(third)).await?
        );
        app.finish(Step::Return).await
    }),
}];

const HANDSHAKE_WAITS: &[Case] = &[Case {
    rule: rule::HANDSHAKE_WAITS,
    name: "the_handshake_waits",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a handshake, and has the application called for another request before it answers.",
    must: "Nothing of an answer is sent before the application accepts.",
    basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Connect - receive event")]),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let mut pending = begin_handshake(server, transport, &handshake()).await?;
        let mut app = server.call().await?;
        app.act(Step::Fence).await?;
        server.expect_served().await?;
        must!(
            !pending.has_answer().await?,
            "the handshake was answered before the application had accepted"
        );
        app.send(WebSocketAccept::new()).await?;
        pending.opened(server).await?;
        app.finish(Step::Return).await
    }),
}];

const CLOSE_BEFORE_ACCEPT_IS_403: &[Case] = &[Case {
    rule: rule::CLOSE_BEFORE_ACCEPT_IS_403,
    name: "close_before_accept",
    transports: HTTP1_AND_HTTP2,
    does: "The application closes, with a code and a reason, where it should accept.",
    must: "The handshake is answered with 403.",
    basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Close - send event")]),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let pending = begin_handshake(server, transport, &handshake()).await?;
        let mut app = server.call().await?;
        let connect = app.receive().await?;
        must!(
            connect == ReceiveEvent::WebSocketConnect,
            "first came {connect:?}"
        );
        // The server may answer as soon as the application closes, or when the call returns.
        app.send(WebSocketClose::new(3000).reason("no")).await?;
        app.finish(Step::Return).await?;
        expect_status(pending, 403).await
    }),
}];

pub(super) async fn expect_status(pending: PendingHandshake, status: u16) -> CaseResult {
    let seen = pending.response().await?.status;
    must!(seen == status, "the handshake was answered with {seen}");
    Ok(())
}

const FAILURE_BEFORE_ACCEPT_IS_500_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", has the connection terminated, and names no response",
);

const FAILURE_BEFORE_ACCEPT_IS_500: &[Case] = &[
    Case {
        rule: rule::FAILURE_BEFORE_ACCEPT_IS_500,
        name: "return_before_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application returns without having answered the handshake.",
        must: "The handshake is answered with 500.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of a handshake whose call returns",
        ),
        steps: steps!(async |fixture, transport| {
            end_before_accept(fixture, transport, Step::Return).await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_ACCEPT_IS_500,
        name: "failure_before_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application fails without having answered the handshake.",
        must: "The handshake is answered with 500.",
        basis: FAILURE_BEFORE_ACCEPT_IS_500_BASIS,
        steps: steps!(async |fixture, transport| {
            end_before_accept(
                fixture,
                transport,
                Step::Fail("a failure of the probe".into()),
            )
            .await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_ACCEPT_IS_500,
        name: "panic_before_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application panics without having answered the handshake.",
        must: "The handshake is answered with 500.",
        basis: FAILURE_BEFORE_ACCEPT_IS_500_BASIS,
        steps: steps!(async |fixture, transport| {
            end_before_accept(
                fixture,
                transport,
                Step::Panic("a panic of the probe".into()),
            )
            .await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_ACCEPT_IS_500,
        name: "broken_rule_before_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application accepts with a subprotocol that the client has not offered.",
        must: "The handshake is answered with 500 while the application still runs.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of an event that is out of order",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let pending = begin_handshake(server, transport, &handshake()).await?;
            let mut app = server.call().await?;
            app.try_send(WebSocketAccept::new().subprotocol("not-offered"))
                .await?;
            expect_status(pending, 500).await?;
            app.finish(Step::Return).await
        }),
    },
];

async fn end_before_accept(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    end: Step,
) -> CaseResult {
    let server = fixture.server().await?;
    let pending = begin_handshake(server, transport, &handshake()).await?;
    let app = server.call().await?;
    app.finish(end).await?;
    expect_status(pending, 500).await
}

const DISCONNECT_BEFORE_ACCEPT: &[Case] = &[Case {
    rule: rule::DISCONNECT_BEFORE_ACCEPT,
    name: "the_client_goes_away_before_accept",
    transports: HTTP1_AND_HTTP2,
    does: "The client goes away before the application has answered the handshake.",
    must: "The application receives `websocket.disconnect` with 1006.",
    basis: Basis::CallgateOnly("ASGI does not say which code a disconnect before the accept has"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let pending = begin_handshake(server, transport, &handshake()).await?;
        let mut app = server.call().await?;
        pending.reset();
        let disconnect = disconnected(&mut app).await?;
        must!(
            disconnect == WebSocketDisconnect::new(1006),
            "received {disconnect:?}"
        );
        app.finish(Step::Return).await
    }),
}];

const ACCEPT_HEADERS_KEPT: &[Case] = &[Case {
    rule: rule::ACCEPT_HEADERS_KEPT,
    name: "accepted_with_fields",
    transports: HTTP1_AND_HTTP2,
    does: "The application accepts with a subprotocol and with fields, one of them repeated.",
    must: "The answer has all of them.",
    basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Accept - send event")]),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let request = handshake().field("sec-websocket-protocol", "one, two");
        let pending = begin_handshake(server, transport, &request).await?;
        let mut app = server.call().await?;
        // Fields of the answer came with this version.
        app.expect_spec_version("2.1")?;
        let accept = WebSocketAccept::new()
            .subprotocol("two")
            .header("x-more", "1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2");
        app.send(accept).await?;
        let (response, _client) = pending.answered(server).await?;
        for (name, values) in [
            ("sec-websocket-protocol", &["two"][..]),
            ("x-more", &["1"]),
            ("set-cookie", &["a=1", "b=2"]),
        ] {
            let seen: Vec<_> = response.fields.get_all(name).iter().collect();
            must!(seen == values, "`{name}` is {seen:?}");
        }
        app.finish(Step::Return).await
    }),
}];

const SHUTDOWN_BEFORE_ACCEPT_IS_503: &[Case] = &[Case {
    rule: rule::SHUTDOWN_BEFORE_ACCEPT_IS_503,
    name: "shutdown_before_accept",
    transports: HTTP1_AND_HTTP2,
    does: "Stops the server before the application has answered the handshake.",
    must: "The handshake is answered with 503, and the application receives `websocket.disconnect` with 1012.",
    basis: Basis::CallgateOnly("ASGI does not say what a shutdown does to a handshake"),
    steps: steps!(async |fixture, transport| {
        let mut server = fixture.launch(&ServerSettings::default()).await?;
        server.run_lifespan().await?;
        let pending = begin_handshake(&server, transport, &handshake()).await?;
        let mut app = server.call().await?;
        server.stop()?;
        expect_status(pending, 503).await?;
        expect_disconnect_code(&mut app, 1012).await?;
        app.finish(Step::Return).await
    }),
}];
