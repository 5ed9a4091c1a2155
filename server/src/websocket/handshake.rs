//! The handshake over either version: an HTTP request that the application turns into a WebSocket,
//! or refuses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, WebSocketAccept, WebSocketScope};
use callgate_drive::websocket::{
    self as drive, DeflateParameters, HandshakeResponse, accept_key, response_head,
};
use callgate_drive::{ResponseBody, replacement};
use http::Version;
use http::header::HeaderValue;

use super::session::{AcceptedWebSocket, CallDetacher};
use crate::connection::ConnectionInfo;
use crate::context::ServerContext;
use crate::stage::Stage;

/// A handshake without a response.
pub(crate) struct Handshake {
    inner: drive::Handshake,
    server: Arc<ServerContext>,
    version: Version,
    /// The value of `sec-websocket-accept`, which only HTTP/1.1 has.
    accept_key: Option<HeaderValue>,
    /// The parameters of permessage-deflate, if an offer of the client is accepted.
    deflate: Option<DeflateParameters>,
    /// Completes when the server drains; `None` after that.
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The response to a handshake.
#[derive(Debug)]
pub(crate) enum Response {
    /// The head of the response that opens the WebSocket.
    Accepted(HttpResponseStart, AcceptedWebSocket),
    /// A response that refuses the WebSocket.
    Refused(HttpResponseStart, ResponseBody),
}

impl Handshake {
    // Not inlined, because it would enlarge the stack of every request.
    #[inline(never)]
    pub(crate) fn new(mut scope: Box<WebSocketScope>, connection: &ConnectionInfo) -> Box<Self> {
        let server = &connection.server;
        let accept_key = accept_key(&scope.headers);
        let setting = server.config.websocket.per_message_deflate;
        let deflate = DeflateParameters::negotiate(&mut scope, setting);
        let stages = server.stages.clone();
        Box::new(Self {
            version: scope.version,
            inner: drive::Handshake::new(&server.app, scope),
            server: server.clone(),
            accept_key,
            deflate,
            draining: Some(Box::pin(async move {
                stages.reached(Stage::Draining).await;
            })),
        })
    }

    /// Polls the application, and returns the response. The handshake must not be polled again after
    /// that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = self.inner.poll(cx);
        if response.is_pending()
            && let Some(draining) = &mut self.draining
            && draining.as_mut().poll(cx).is_ready()
        {
            self.draining = None;
            self.inner.refuse_at_shutdown();
            response = self.inner.poll(cx);
        }
        let response = match ready!(response) {
            HandshakeResponse::Accept(accept) => self.accept(accept),
            HandshakeResponse::Refuse(status) => {
                let (head, body) = replacement(status);
                Response::Refused(head, body)
            }
            HandshakeResponse::Deny(head, body) => Response::Refused(head, body),
        };
        self.detach();
        Poll::Ready(response)
    }

    fn accept(&mut self, accept: WebSocketAccept) -> Response {
        let detacher = CallDetacher(self.server.clone());
        let websocket = AcceptedWebSocket::new(self.inner.open(), detacher).deflate(self.deflate);
        let extensions = self.deflate.map(|parameters| parameters.header_value());
        let head = response_head(accept, self.version, self.accept_key.take(), extensions);
        Response::Accepted(head, websocket)
    }

    /// Moves a call that has not ended to a task of its own.
    fn detach(&mut self) {
        if let Some((call, mailbox)) = self.inner.detach() {
            self.server.detach(call, mailbox);
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Drop for Handshake {
    /// A handshake is dropped without a response when the client is gone.
    fn drop(&mut self) {
        self.detach();
    }
}
