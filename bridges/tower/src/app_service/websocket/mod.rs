//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod session;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{BoxApp, WebSocketAccept, WebSocketDisconnect, WebSocketScope};
use callgate_drive::websocket::{Answer, Mailbox, accepted};
use callgate_drive::{Call, RequestLine, ResponseBody};
use http::header::{HeaderValue, SEC_WEBSOCKET_KEY};
use http::{Response, Version};
use hyper::upgrade::OnUpgrade;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::detach;
use super::exchange::{replacement, respond};

/// The answer to a handshake in the making.
pub(super) struct Handshake {
    /// None once the application's call has ended or has been handed on.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    version: Version,
    /// `sec-websocket-accept`, where the version of HTTP has it.
    accept_key: Option<HeaderValue>,
    on_upgrade: Option<OnUpgrade>,
    grace: Duration,
    max_message: usize,
    is_answered: bool,
}

impl Handshake {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<WebSocketScope>,
        on_upgrade: OnUpgrade,
        grace: Duration,
        max_message: usize,
    ) -> Self {
        let request = RequestLine::of_websocket(&scope);
        let mailbox = Arc::new(Mailbox::new(&scope));
        let version = scope.version;
        let accept_key = scope
            .headers
            .get(SEC_WEBSOCKET_KEY)
            .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
        let call = Call::new(app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            mailbox,
            version,
            accept_key,
            on_upgrade: Some(on_upgrade),
            grace,
            max_message,
            is_answered: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &*self.mailbox).is_ready()
        {
            self.call = None;
        }
        let answer = ready!(self.mailbox.poll_answer(cx));
        self.is_answered = true;
        let response = match answer {
            Answer::Accept(accept) => self.accept(accept),
            Answer::Refuse(status) => replacement(status),
            Answer::Deny(head, body) => respond(head, body),
            Answer::DenyStreamed(head) => {
                let body = self.mailbox.streamed(&head);
                respond(head, body)
            }
        };
        if let Some(call) = self.call.take() {
            detach(call, self.mailbox.clone(), self.grace);
        }
        Poll::Ready(response)
    }

    /// The answer that opens the WebSocket; the session takes over the application.
    fn accept(&mut self, accept: WebSocketAccept) -> Response<ResponseBody> {
        let head = accepted(accept, self.version, self.accept_key.take());
        match (Handle::try_current(), self.on_upgrade.take()) {
            (Ok(runtime), Some(on_upgrade)) => {
                let call = self.call.take();
                let mailbox = self.mailbox.clone();
                runtime.spawn(session::run(
                    call,
                    mailbox,
                    on_upgrade,
                    self.max_message,
                    self.grace,
                ));
            }
            _ => self.mailbox.over(WebSocketDisconnect::new(1006)),
        }
        respond(head, ResponseBody::empty())
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
    /// Whoever asked has gone away: the application is told, and ends in its own time.
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.mailbox.over(WebSocketDisconnect::new(1006));
        if let Some(call) = self.call.take() {
            detach(call, self.mailbox.clone(), self.grace);
        }
    }
}
