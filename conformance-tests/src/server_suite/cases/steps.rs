//! Steps that cases of several chapters have in common.

use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, WebSocketAccept};

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::http1::Http1;
use crate::server_suite::http2::{Http2, Http2Stream};
use crate::server_suite::launch::ServerExit;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::{Request, Response};
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::handshake;

/// Sends a request over HTTP/1.1, and waits for the call of the application.
pub(super) async fn call_over_http1(
    server: &mut Server,
    request: &Request,
) -> CaseResult<(Http1, ProbeCall)> {
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    Ok((client, server.call().await?))
}

/// Sends a request, and waits for the call of the application.
pub(super) async fn call_over(
    transport: Transport,
    server: &mut Server,
    request: &Request,
) -> CaseResult<(ClientExchange, ProbeCall)> {
    let exchange = ClientExchange::begin(server, transport, request).await?;
    Ok((exchange, server.call().await?))
}

/// Returns the scope that the application is called with for a request.
pub(super) async fn scope_over(
    transport: Transport,
    server: &mut Server,
    request: &Request,
) -> CaseResult<HttpScope> {
    let (_client, app) = call_over(transport, server, request).await?;
    let scope = app.http()?.clone();
    app.finish(Step::Decline).await?;
    Ok(scope)
}

/// Has the application begin to stream a response. The client has not read its head.
pub(super) async fn stream_over(
    transport: Transport,
    server: &mut Server,
) -> CaseResult<(ClientExchange, ProbeCall)> {
    let (exchange, mut app) = call_over(transport, server, &Request::get("/")).await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    Ok((exchange, app))
}

/// Does what [`stream_over`] does, over HTTP/1.1.
pub(super) async fn stream_over_http1(server: &mut Server) -> CaseResult<(Http1, ProbeCall)> {
    let client = server.connect().await?;
    stream_to(client, server).await
}

/// Does what [`stream_over`] does, for this client of HTTP/1.1.
pub(super) async fn stream_to(
    mut client: Http1,
    server: &mut Server,
) -> CaseResult<(Http1, ProbeCall)> {
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    Ok((client, app))
}

/// Does what [`stream_over`] does, over HTTP/2.
pub(super) async fn stream_over_http2(
    server: &mut Server,
) -> CaseResult<(Http2, Http2Stream, ProbeCall)> {
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    Ok((client, exchange, app))
}

/// Has the application accept a WebSocket over HTTP/1.1. The client has not read the answer.
pub(super) async fn open_websocket(server: &mut Server) -> CaseResult<(Http1, ProbeCall)> {
    let client = server.connect().await?;
    open_websocket_to(client, server).await
}

/// Does what [`open_websocket`] does, for this client.
pub(super) async fn open_websocket_to(
    mut client: Http1,
    server: &mut Server,
) -> CaseResult<(Http1, ProbeCall)> {
    client.send(handshake().http1()).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    Ok((client, app))
}

/// Returns the request with steps that answer it with this text at once.
pub(super) fn answered(request: Request, text: &'static str) -> Request {
    request
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last(text))
        .step(Step::Return)
}

/// Has the application answer with this text in one body event.
pub(super) async fn respond(app: &mut ProbeCall, text: &'static str) -> CaseResult {
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::last(text)).await
}

/// Checks that the client got a 200 with this content.
pub(super) fn expect_response(response: &Response, text: &str) -> CaseResult {
    must!(
        response.status == 200 && response.text() == text,
        "the response was {} `{}`",
        response.status,
        response.text()
    );
    Ok(())
}

/// Waits for the events of a [`Step::ReceiveBody`]. The last one has `more_body` unset or is no
/// `http.request`.
pub(super) async fn events(app: &mut ProbeCall, step: u64) -> CaseResult<Vec<ReceiveEvent>> {
    let mut events = Vec::new();
    loop {
        let event = app.received(Some(step)).await?;
        let is_last =
            !matches!(&event, ReceiveEvent::HttpRequestBody(request) if request.more_body);
        events.push(event);
        if is_last {
            return Ok(events);
        }
    }
}

/// Has the application receive the whole content of the request.
pub(super) async fn content(app: &mut ProbeCall) -> CaseResult<Vec<u8>> {
    let step = app.begin(Step::ReceiveBody);
    let mut content = Vec::new();
    for event in events(app, step).await? {
        match event {
            ReceiveEvent::HttpRequestBody(part) => content.extend_from_slice(&part.body),
            other => must!(false, "received {other:?} in place of the rest"),
        }
    }
    Ok(content)
}

/// Sends octets over a connection of their own, which the server must answer with `status` and then
/// close, without calling the application.
pub(super) async fn expect_refused(
    fixture: &mut Fixture<'_>,
    octets: &str,
    status: u16,
) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    client.send(octets).await?;
    let answer = client.response().await?;
    must!(
        answer.status == status,
        "the answer is {} in place of {status}",
        answer.status
    );
    client.expect_closed().await?;
    server.expect_no_call().await
}

/// A server has stopped reading when it has taken nothing in so many waits, with an exchange of
/// another client after each. Together the waits are longer than the 200 ms after which Linux
/// retransmits, or probes a closed window.
pub(super) const WAITS: u32 = 5;
pub(super) const WAIT: Duration = Duration::from_millis(60);

/// The most events that may come before a disconnect.
const EVENTS_BEFORE_DISCONNECT: usize = 4;

/// Receives up to a disconnect.
pub(super) async fn receive_disconnect(app: &mut ProbeCall) -> CaseResult {
    for _ in 0..EVENTS_BEFORE_DISCONNECT {
        if is_disconnect(&app.receive().await?) {
            return Ok(());
        }
    }
    Err(Verdict::failed("no disconnect came"))
}

pub(super) fn is_disconnect(event: &ReceiveEvent) -> bool {
    matches!(
        event,
        ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
    )
}

/// Starts a server, and waits until it calls the application for lifespan.
pub(super) async fn starting(
    fixture: &mut Fixture<'_>,
    settings: &ServerSettings,
) -> CaseResult<(Server, ProbeCall)> {
    let mut server = fixture.launch(settings).await?;
    let lifespan = server.lifespan().await?;
    Ok((server, lifespan))
}

/// Has the application take its last step, after which the process may end before the message of the
/// step is sent. Returns how the server ended.
pub(super) async fn ends_after(
    server: &mut Server,
    lifespan: &mut ProbeCall,
    last: Step,
) -> CaseResult<ServerExit> {
    lifespan.begin(last);
    server.wait_for_exit().await
}

/// The number of fences that the application answers. The server's event loop runs once for each.
pub(super) const FENCES: usize = 50;

/// Receives up to `lifespan.shutdown`.
pub(super) async fn receive_shutdown(lifespan: &mut ProbeCall) -> CaseResult {
    while lifespan.receive().await? != ReceiveEvent::LifespanShutdown {}
    Ok(())
}
