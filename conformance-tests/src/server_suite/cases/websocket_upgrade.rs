//! `websocket.md`: handshakes that the server answers itself, and upgrades that are none.

use callgate::{
    HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, Scope, WebSocketAccept,
    WebSocketClose, WebSocketScope, rule,
};
use http::Version;

use super::steps::expect_response;
use super::websocket_handshake::expect_status;
use crate::basis::{Basis, Document::Rfc, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::websocket::{
    TEXT, after_connect, begin_handshake, connect_http2, handshake, text,
};

pub(super) const CASES: &[&[Case]] = &[
    UNSUPPORTED_WEBSOCKET_VERSION,
    BAD_HANDSHAKE,
    EXTENDED_CONNECT,
    OTHER_UPGRADES_ARE_HTTP,
];

const UNSUPPORTED_WEBSOCKET_VERSION_BASIS: Basis =
    Basis::CallgateOnly("RFC 6455, 4.2.2 names the status 426 as an example only");

const UNSUPPORTED_WEBSOCKET_VERSION: &[Case] = &[
    Case {
        rule: rule::UNSUPPORTED_WEBSOCKET_VERSION,
        name: "other_version",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a handshake of version 8.",
        must: "It is answered with 426 and `sec-websocket-version: 13`; the application is not called.",
        basis: UNSUPPORTED_WEBSOCKET_VERSION_BASIS,
        steps: steps!(async |fixture, transport| {
            expect_version_13(fixture, transport, |request| {
                set(request, "sec-websocket-version", "8");
            })
            .await
        }),
    },
    Case {
        rule: rule::UNSUPPORTED_WEBSOCKET_VERSION,
        name: "no_version",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a handshake without a version.",
        must: "It is answered with 426 and `sec-websocket-version: 13`; the application is not called.",
        basis: UNSUPPORTED_WEBSOCKET_VERSION_BASIS,
        steps: steps!(async |fixture, transport| {
            expect_version_13(fixture, transport, |request| {
                without(request, "sec-websocket-version");
            })
            .await
        }),
    },
];

async fn expect_version_13(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    change: impl FnOnce(&mut Request),
) -> CaseResult {
    let server = fixture.server().await?;
    let mut request = handshake();
    change(&mut request);
    let response = begin_handshake(server, transport, &request)
        .await?
        .response()
        .await?;
    must!(
        response.status == 426,
        "the handshake was answered with {}",
        response.status
    );
    must!(
        response.lists("sec-websocket-version", "13"),
        "`sec-websocket-version` is {:?}",
        response.field("sec-websocket-version")
    );
    server.expect_no_call().await
}

fn set(request: &mut Request, name: &str, value: &str) {
    without(request, name);
    request.fields.push((name.into(), value.into()));
}

const BAD_HANDSHAKE: &[Case] = &[
    Case {
        rule: rule::BAD_HANDSHAKE,
        name: "no_key",
        transports: HTTP1,
        does: "Sends a handshake without `sec-websocket-key`.",
        must: "The answer is an error of the 4xx class, and the application is not called.",
        basis: Basis::Standard(&[demands(Rfc(6455), "4.2.1")]),
        steps: steps!(async |fixture| {
            expect_refused_handshake(fixture, |request| without(request, "sec-websocket-key")).await
        }),
    },
    Case {
        rule: rule::BAD_HANDSHAKE,
        name: "short_key",
        transports: HTTP1,
        does: "Sends a handshake whose `sec-websocket-key` is not 16 bytes in base64.",
        must: "The answer is an error of the 4xx class, and the application is not called.",
        basis: Basis::CallgateOnly("RFC 6455, 4.2.2 does not require a server to decode the key"),
        steps: steps!(async |fixture| {
            expect_refused_handshake(fixture, |request| {
                set(request, "sec-websocket-key", "c2hvcnQ=");
            })
            .await
        }),
    },
    Case {
        rule: rule::BAD_HANDSHAKE,
        name: "two_keys",
        transports: HTTP1,
        does: "Sends a handshake with two `sec-websocket-key` fields.",
        must: "The answer is an error of the 4xx class, and the application is not called.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 11.3.1 forbids a client to repeat the key; a server need not look for that",
        ),
        steps: steps!(async |fixture| {
            expect_refused_handshake(fixture, |request| {
                let second = ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
                request.fields.push((second.0.into(), second.1.into()));
            })
            .await
        }),
    },
    Case {
        rule: rule::BAD_HANDSHAKE,
        name: "the_status_of_a_malformed_handshake",
        transports: HTTP1,
        does: "Sends a handshake without `sec-websocket-key`.",
        must: "The answer is 400.",
        basis: Basis::CallgateOnly("RFC 6455, 4.2.1 names the status 400 as an example only"),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut request = handshake();
            without(&mut request, "sec-websocket-key");
            let pending = begin_handshake(server, Transport::Http1, &request).await?;
            expect_status(pending, 400).await?;
            server.expect_no_call().await
        }),
    },
];

async fn expect_refused_handshake(
    fixture: &mut Fixture<'_>,
    change: impl FnOnce(&mut Request),
) -> CaseResult {
    let server = fixture.server().await?;
    let mut request = handshake();
    change(&mut request);
    let pending = begin_handshake(server, Transport::Http1, &request).await?;
    let status = pending.refused_status(server).await?;
    must!(
        (400..500).contains(&status),
        "the handshake was answered with {status}"
    );
    server.expect_no_call().await
}

const EXTENDED_CONNECT: &[Case] = &[Case {
    rule: rule::EXTENDED_CONNECT,
    name: "a_websocket_over_extended_connect",
    transports: HTTP1,
    does: "Opens a WebSocket over HTTP/2, and another over HTTP/1.1, with the same fields.",
    must: "The settings of HTTP/2 offer it, both scopes are equal but for the version, and both WebSockets have the same events.",
    basis: Basis::CallgateOnly(
        "ASGI leaves it to the server whether it serves WebSockets over HTTP/2",
    ),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let client = connect_http2(server).await?;
        must!(
            client.supports_extended_connect(),
            "its settings do not offer extended CONNECT"
        );
        drop(client);
        let mut scope = exchange_messages(server, Transport::Http2).await?;
        let http1 = exchange_messages(server, Transport::Http1).await?;
        must!(
            scope.version == Version::HTTP_2,
            "the version in the scope is {:?}",
            scope.version
        );
        // These differ between the two versions.
        scope.version = http1.version;
        scope.client = http1.client;
        scope.headers = http1.headers.clone();
        must!(
            scope == http1,
            "over HTTP/2 the scope is {scope:?}, and over HTTP/1.1 {http1:?}"
        );
        Ok(())
    }),
}];

/// Opens a WebSocket, sends a message each way, and closes it. Returns its scope.
async fn exchange_messages(
    server: &mut Server,
    transport: Transport,
) -> CaseResult<WebSocketScope> {
    let pending = begin_handshake(
        server,
        transport,
        &handshake().field("sec-websocket-protocol", "one, two"),
    )
    .await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    let mut client = pending.opened(server).await?;
    client.send(text("there")).await?;
    let there = after_connect(&mut app).await?;
    let message = ReceiveEvent::WebSocketReceive(Message::text("there"));
    must!(there == message, "received {there:?}");
    app.send(Message::text("and back")).await?;
    app.send(WebSocketClose::new(1001)).await?;
    let back = client.message().await?;
    must!(
        back.first & 0x0f == TEXT && back.payload == "and back",
        "the client got {back:?}"
    );
    client.expect_close_code(1001).await?;
    let scope = app.websocket()?.clone();
    app.finish(Step::Return).await?;
    Ok(scope)
}

const OTHER_UPGRADES_ARE_HTTP_BASIS: Basis = Basis::CallgateOnly(
    "RFC 6455, 4.2.1 lets a server answer an incomplete handshake with an error",
);

const OTHER_UPGRADES_ARE_HTTP: &[Case] = &[
    Case {
        rule: rule::OTHER_UPGRADES_ARE_HTTP,
        name: "another_upgrade",
        transports: HTTP1,
        does: "Sends a GET that asks to upgrade to `example/1`.",
        must: "The application is called for an HTTP request, and its response is sent.",
        basis: Basis::CallgateOnly(
            "RFC 9110, 7.8 permits to ignore an upgrade, and does not demand it",
        ),
        steps: steps!(async |fixture| {
            let request = Request::get("/")
                .field("connection", "upgrade")
                .field("upgrade", "example/1");
            expect_http(fixture, request).await
        }),
    },
    Case {
        rule: rule::OTHER_UPGRADES_ARE_HTTP,
        name: "an_upgrade_to_websocket_by_post",
        transports: HTTP1,
        does: "Sends what would be a handshake if its method were not POST.",
        must: "The application is called for an HTTP request, and its response is sent.",
        basis: OTHER_UPGRADES_ARE_HTTP_BASIS,
        steps: steps!(async |fixture| {
            let mut request = handshake().body("");
            request.method = "POST".into();
            expect_http(fixture, request).await
        }),
    },
    Case {
        rule: rule::OTHER_UPGRADES_ARE_HTTP,
        name: "an_upgrade_that_the_connection_does_not_list",
        transports: HTTP1,
        does: "Sends what would be a handshake if `connection` listed `upgrade`.",
        must: "The application is called for an HTTP request, and its response is sent.",
        basis: OTHER_UPGRADES_ARE_HTTP_BASIS,
        steps: steps!(async |fixture| {
            let mut request = handshake();
            without(&mut request, "connection");
            expect_http(fixture, request).await
        }),
    },
];

async fn expect_http(fixture: &mut Fixture<'_>, request: Request) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    let request = request
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last("as HTTP"));
    client.send(request.http1()).await?;
    let response = client.response().await?;
    expect_response(&response, "as HTTP")?;
    let app = server.call().await?;
    must!(
        matches!(app.scope(), Scope::Http(_)),
        "the scope is of type `{}`",
        app.scope().type_name()
    );
    app.finish(Step::Return).await
}

fn without(request: &mut Request, name: &str) {
    request.fields.retain(|(field, _)| field != name);
}
