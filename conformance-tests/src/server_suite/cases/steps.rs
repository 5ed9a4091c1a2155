//! Steps that cases of several chapters have in common.

use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, WebSocketAccept};

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Outcome, must};
use crate::server_suite::exchange::{Exchange, Over};
use crate::server_suite::http1::Http1;
use crate::server_suite::http2::{Http2, Http2Exchange};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake;

/// A request, as the application was called for it.
pub(super) async fn call_over_http1(
    server: &mut Server,
    request: &Request,
) -> Outcome<(Http1, Remote)> {
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    Ok((client, server.call().await?))
}

/// A request over either version, as the application was called for it.
pub(super) async fn call_over(
    over: Over,
    server: &mut Server,
    request: &Request,
) -> Outcome<(Exchange, Remote)> {
    let exchange = Exchange::begin(server, over, request).await?;
    Ok((exchange, server.call().await?))
}

/// What the scope of a request is.
pub(super) async fn scope_over(
    over: Over,
    server: &mut Server,
    request: &Request,
) -> Outcome<HttpScope> {
    let (_client, app) = call_over(over, server, request).await?;
    let scope = app.http()?.clone();
    app.finish(Step::Decline).await?;
    Ok(scope)
}

/// A response over HTTP/1.1 that the application has begun to stream. Its head is still to be read.
pub(super) async fn stream_over_http1(server: &mut Server) -> Outcome<(Http1, Remote)> {
    let client = server.connect().await?;
    stream_to(client, server).await
}

/// The same, to this client.
pub(super) async fn stream_to(mut client: Http1, server: &mut Server) -> Outcome<(Http1, Remote)> {
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    Ok((client, app))
}

/// A response over HTTP/2 that the application has begun to stream. Its head is still to be read.
pub(super) async fn stream_over_http2(
    server: &mut Server,
) -> Outcome<(Http2, Http2Exchange, Remote)> {
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    Ok((client, exchange, app))
}

/// A WebSocket that the application has accepted. The answer is still to be read.
pub(super) async fn open_websocket(server: &mut Server) -> Outcome<(Http1, Remote)> {
    let client = server.connect().await?;
    open_websocket_to(client, server).await
}

/// The same, for this client.
pub(super) async fn open_websocket_to(
    mut client: Http1,
    server: &mut Server,
) -> Outcome<(Http1, Remote)> {
    client.send(handshake().http1()).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    Ok((client, app))
}

/// A request to which the application answers this text at once.
pub(super) fn answered(request: Request, text: &'static str) -> Request {
    request
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last(text))
        .step(Step::Return)
}

/// Has the application answer this text in one piece.
pub(super) async fn respond(app: &mut Remote, text: &'static str) -> Outcome {
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::last(text)).await
}

/// Waits for the events of a [`Step::ReceiveBody`], of which the last has `more_body` unset or is
/// no `http.request`.
pub(super) async fn events(app: &mut Remote, step: u64) -> Outcome<Vec<ReceiveEvent>> {
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

/// Has the application receive the whole content.
pub(super) async fn content(app: &mut Remote) -> Outcome<Vec<u8>> {
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

/// Sends octets on a connection of their own, which the server must answer with `status` and then
/// close, without calling the application.
pub(super) async fn refused(bench: &mut Bench<'_>, octets: &str, status: u16) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(octets).await?;
    let answer = client.response().await?;
    must!(
        answer.status == status,
        "the answer is {} in place of {status}",
        answer.status
    );
    client.is_closed().await?;
    server.was_not_called().await
}

/// A server takes no more of what it is sent when it has taken nothing in so many waits, after each
/// of which it did something else: it could have gone on. Together they are longer than the 200 ms
/// after which Linux sends again what was lost, or asks whether there is room again.
pub(super) const WAITS: u32 = 5;
pub(super) const WAIT: Duration = Duration::from_millis(60);

/// The most events that may come before a disconnect: a request, say, and its end.
const EVENTS: usize = 4;

/// Receives up to a disconnect.
pub(super) async fn receive_disconnect(app: &mut Remote) -> Outcome {
    for _ in 0..EVENTS {
        if is_disconnect(&app.receive().await?) {
            return Ok(());
        }
    }
    Err(Verdict::failed("there came no disconnect"))
}

pub(super) fn is_disconnect(event: &ReceiveEvent) -> bool {
    matches!(
        event,
        ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
    )
}
