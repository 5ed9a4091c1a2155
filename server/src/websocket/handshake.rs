//! The handshake: an HTTP request that the application turns into a WebSocket, or refuses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::{HttpResponseStart, WebSocketAccept, WebSocketScope};
use callgate_drive::websocket::{self as drive, Answer, accepted};
use callgate_drive::{RequestLine, ResponseBody};
use http::header::{self, HeaderValue};
use http::{Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Session;
use crate::exchange::Guard;
use crate::link::Link;
use crate::rejection;
use crate::report::AccessLog;
use crate::response_body::{Guarded, respond};
use crate::stage::Stage;

/// The future that hyper polls for the answer to a handshake.
pub(crate) struct Handshake {
    inner: drive::Handshake,
    link: Arc<Link>,
    version: Version,
    /// `sec-websocket-accept`, where the version of HTTP has it.
    accept_key: Option<HeaderValue>,
    on_upgrade: Option<OnUpgrade>,
    guard: Option<Guard>,
    access_log: Option<Box<AccessLog>>,
    /// Ready when the server shuts down.
    /// None once the server drains.
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Handshake {
    // It is large: not for the stack of every request.
    #[inline(never)]
    pub(crate) fn new(
        scope: Box<WebSocketScope>,
        on_upgrade: Option<OnUpgrade>,
        link: &Arc<Link>,
    ) -> Box<Self> {
        let server = &link.server;
        let version = scope.version;
        let accept_key = scope
            .headers
            .get(header::SEC_WEBSOCKET_KEY)
            .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
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
        let mut answer = self.inner.poll(cx);
        if answer.is_pending()
            && let Some(draining) = &mut self.draining
            && draining.as_mut().poll(cx).is_ready()
        {
            self.draining = None;
            self.inner.refuse_at_shutdown();
            answer = self.inner.poll(cx);
        }
        let (mut head, body) = match ready!(answer) {
            Answer::Accept(accept) => (self.accept(accept), ResponseBody::empty()),
            Answer::Refuse(status) => rejection::replacement(status, self.version),
            Answer::Deny(head, body) => (head, body),
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

    /// The answer that opens the WebSocket; the session takes over the application.
    fn accept(&mut self, accept: WebSocketAccept) -> HttpResponseStart {
        let server = &self.link.server;
        let (call, mailbox) = self.inner.open();
        let session = Session::new(call, mailbox, server.clone());
        let head = accepted(accept, self.version, self.accept_key.take());
        if self.version != Version::HTTP_2 {
            self.link.set_upgrade(session);
        } else if let Some(on_upgrade) = self.on_upgrade.take() {
            // hyper lets go of the answer as soon as it is sent. The connection is in use for longer.
            let guard = self.guard.take();
            let session = run_over_http2(session, on_upgrade, guard);
            server.tasks.spawn(session);
        }
        head
    }

    /// Lets what is left of the call go on by itself.
    fn detach(&mut self) {
        if let Some((call, end)) = self.inner.detach() {
            self.link.server.detach(call, end);
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

async fn run_over_http2(session: Session, on_upgrade: OnUpgrade, _guard: Option<Guard>) {
    // When the client goes away before, the session is dropped, which tells the application.
    if let Ok(stream) = on_upgrade.await {
        session.run(TokioIo::new(stream), Bytes::new()).await;
    }
}
