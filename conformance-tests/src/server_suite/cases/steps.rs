//! Steps that cases of several chapters begin with.

use std::net::SocketAddr;

use callgate::{HttpResponseBody, HttpResponseStart, HttpScope, WebSocketAccept};

use crate::probe::Step;
use crate::server_suite::case::Outcome;
use crate::server_suite::http1::Http1;
use crate::server_suite::http2::{Http2, Http2Exchange};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

/// The handshake of a WebSocket over HTTP/1.1.
pub(super) fn handshake(target: &str) -> Request {
    Request::get(target)
        .field("connection", "upgrade")
        .field("upgrade", "websocket")
        .field("sec-websocket-version", "13")
        .field("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// A request, as the application was called for it.
pub(super) async fn call_over_http1(
    server: &mut Server,
    request: &Request,
) -> Outcome<(Http1, Remote)> {
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    Ok((client, server.call().await?))
}

/// The versions of HTTP that a case goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The client of a request that has not been answered. The request ends with it.
pub(super) enum Client {
    Http1(Http1),
    Http2(
        Http2,
        #[expect(dead_code, reason = "it is there to be held")] Http2Exchange,
    ),
}

impl Client {
    /// Its own address.
    pub(super) fn address(&self) -> Outcome<SocketAddr> {
        match self {
            Self::Http1(client) => client.address(),
            Self::Http2(client, _) => Ok(client.address),
        }
    }
}

/// A request over either version, as the application was called for it.
pub(super) async fn call_over(
    version: Version,
    server: &mut Server,
    request: &Request,
) -> Outcome<(Client, Remote)> {
    if version == Version::Http1 {
        let (client, app) = call_over_http1(server, request).await?;
        return Ok((Client::Http1(client), app));
    }
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(request, false).await?;
    Ok((Client::Http2(client, exchange), server.call().await?))
}

/// What the scope of a request is.
pub(super) async fn scope_over(
    version: Version,
    server: &mut Server,
    request: &Request,
) -> Outcome<HttpScope> {
    let (_client, app) = call_over(version, server, request).await?;
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
    client.send(handshake("/").http1()).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    Ok((client, app))
}
