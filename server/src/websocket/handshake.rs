//! The handshake: an HTTP request that the application turns into a WebSocket, or refuses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::{HttpResponseStart, WebSocketAccept, WebSocketDisconnect, WebSocketScope};
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
use crate::server::Server;
use crate::stage::Stage;
use callgate_drive::websocket::{Answer, Mailbox, accepted};
use callgate_drive::{Call, RequestLine, ResponseBody};

/// The future that hyper polls for the answer to a handshake.
pub(crate) struct Handshake {
    /// None once the application's call has ended or has been handed on.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    server: Arc<Server>,
    link: Arc<Link>,
    version: Version,
    /// `sec-websocket-accept`, where the version of HTTP has it.
    accept_key: Option<HeaderValue>,
    on_upgrade: Option<OnUpgrade>,
    guard: Option<Guard>,
    access_log: Option<Box<AccessLog>>,
    is_answered: bool,
    /// Ready when the server shuts down.
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
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
        let request = RequestLine::of_websocket(&scope);
        let version = scope.version;
        let accept_key = scope
            .headers
            .get(header::SEC_WEBSOCKET_KEY)
            .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
        let access_log = server
            .config
            .access_log
            .then(|| Box::new(AccessLog::new(request.clone(), scope.client)));
        let mailbox = Arc::new(Mailbox::new(&scope));
        let call = Call::new(&server.app, scope.into(), &mailbox, request);
        Box::new(Self {
            call: Some(call),
            mailbox,
            server: server.clone(),
            link: link.clone(),
            version,
            accept_key,
            on_upgrade,
            guard: Some(Guard::new(link)),
            access_log,
            is_answered: false,
            draining: Box::pin({
                let stages = server.stages.clone();
                async move { stages.reached(Stage::Draining).await }
            }),
        })
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Guarded>> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &*self.mailbox).is_ready()
        {
            self.call = None;
        }
        if self.draining.as_mut().poll(cx).is_ready() {
            self.mailbox.refuse_at_shutdown();
        }
        let answer = ready!(self.mailbox.poll_answer(cx));
        self.is_answered = true;
        let (mut head, body) = match answer {
            Answer::Accept(accept) => (self.accept(accept), ResponseBody::empty()),
            Answer::Refuse(status) => rejection::replacement(status, self.version),
            Answer::Deny(head, body) => (head, body),
            Answer::DenyStreamed(head) => {
                let body = self.mailbox.streamed(&head);
                (head, body)
            }
        };
        self.detach();
        self.server.add_default_headers(&mut head.headers);
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
        let session = Session::new(self.call.take(), self.mailbox.clone(), self.server.clone());
        let head = accepted(accept, self.version, self.accept_key.take());
        if self.version != Version::HTTP_2 {
            self.link.set_upgrade(session);
        } else if let Some(on_upgrade) = self.on_upgrade.take() {
            // hyper lets go of the answer as soon as it is sent. The connection is in use for longer.
            let guard = self.guard.take();
            let session = run_over_http2(session, on_upgrade, guard);
            self.server.tasks.spawn(session);
        }
        head
    }

    /// Moves a call that has not ended to a task of its own.
    fn detach(&mut self) {
        if let Some(call) = self.call.take() {
            self.server.detach(call, self.mailbox.clone());
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl Drop for Handshake {
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        if !self.is_answered {
            self.mailbox.over(WebSocketDisconnect::new(1006));
        }
        self.detach();
    }
}

async fn run_over_http2(session: Session, on_upgrade: OnUpgrade, _guard: Option<Guard>) {
    // When the client goes away before, the session is dropped, which tells the application.
    if let Ok(stream) = on_upgrade.await {
        session.run(TokioIo::new(stream), Bytes::new()).await;
    }
}
