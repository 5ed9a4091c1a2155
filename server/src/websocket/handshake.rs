//! The handshake: an HTTP request that the application turns into a WebSocket, or refuses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, WebSocketAccept, WebSocketScope};
use callgate_drive::websocket::{
    self as drive, DeflateParameters, HandshakeResponse, accept_key, response_head,
};
use callgate_drive::{RequestLine, ResponseBody};
use http::header::HeaderValue;
use http::{Response, Version};
use hyper::upgrade::OnUpgrade;

use super::session::{AcceptedWebSocket, CallDetacher, run_over_http2};
use crate::exchange::Guard;
use crate::link::Link;
use crate::rejection;
use crate::report::AccessLog;
use crate::response_body::{Guarded, respond};
use crate::stage::Stage;

/// The future that hyper polls for the response to a handshake.
pub(crate) struct Handshake {
    inner: drive::Handshake,
    link: Arc<Link>,
    version: Version,
    /// The value of `sec-websocket-accept`, which only HTTP/1.1 has.
    accept_key: Option<HeaderValue>,
    /// The parameters of permessage-deflate, if an offer of the client is accepted.
    deflate: Option<DeflateParameters>,
    on_upgrade: Option<OnUpgrade>,
    guard: Option<Guard>,
    access_log: Option<Box<AccessLog>>,
    /// Completes when the server drains; `None` after that.
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Handshake {
    // Not inlined, because it would enlarge the stack of every request.
    #[inline(never)]
    pub(crate) fn new(
        mut scope: Box<WebSocketScope>,
        on_upgrade: Option<OnUpgrade>,
        link: &Arc<Link>,
    ) -> Box<Self> {
        let server = &link.server;
        let version = scope.version;
        let accept_key = accept_key(&scope.headers);
        let setting = server.config.ws_per_message_deflate;
        let deflate = DeflateParameters::negotiate(&mut scope, setting);
        let access_log = server.config.access_log.then(|| {
            Box::new(AccessLog::new(
                RequestLine::of_websocket(&scope),
                scope.client,
            ))
        });
        Box::new(Self {
            inner: drive::Handshake::new(&server.app, scope),
            link: link.clone(),
            version,
            accept_key,
            deflate,
            on_upgrade,
            guard: Some(Guard::new(link)),
            access_log,
            draining: Some(Box::pin({
                let stages = server.stages.clone();
                async move { stages.reached(Stage::Draining).await }
            })),
        })
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Guarded>> {
        let mut response = self.inner.poll(cx);
        if response.is_pending()
            && let Some(draining) = &mut self.draining
            && draining.as_mut().poll(cx).is_ready()
        {
            self.draining = None;
            self.inner.refuse_at_shutdown();
            response = self.inner.poll(cx);
        }
        let (mut head, body) = match ready!(response) {
            HandshakeResponse::Accept(accept) => (self.accept(accept), ResponseBody::empty()),
            HandshakeResponse::Refuse(status) => rejection::replacement(status, self.version),
            HandshakeResponse::Deny(head, body) => (head, body),
        };
        self.detach();
        self.link.server.add_default_headers(&mut head.headers);
        if let Some(log) = self.access_log.take() {
            log.write(head.status);
        }
        let mut response = respond(head, Guarded::new(body));
        if let Some(guard) = self.guard.take() {
            response.body_mut().set_guard(guard);
        }
        Poll::Ready(response)
    }

    /// Passes the call and the mailbox to a session. Returns the head of the response that opens
    /// the WebSocket.
    fn accept(&mut self, accept: WebSocketAccept) -> HttpResponseStart {
        let server = &self.link.server;
        let websocket = AcceptedWebSocket::new(self.inner.open(), CallDetacher(server.clone()))
            .deflate(self.deflate);
        let extensions = self.deflate.map(|parameters| parameters.header_value());
        let head = response_head(accept, self.version, self.accept_key.take(), extensions);
        if self.version != Version::HTTP_2 {
            self.link.set_upgrade(websocket);
        } else if let Some(on_upgrade) = self.on_upgrade.take() {
            // hyper drops the response when it is sent. The guard stays with the session, as the
            // connection is in use.
            let guard = self.guard.take();
            let session = run_over_http2(websocket, server.clone(), on_upgrade, guard);
            server.tasks.spawn(session);
        }
        head
    }

    /// Moves a call that has not ended to a task of its own.
    fn detach(&mut self) {
        if let Some((call, mailbox)) = self.inner.detach() {
            self.link.server.detach(call, mailbox);
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
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        self.detach();
    }
}
