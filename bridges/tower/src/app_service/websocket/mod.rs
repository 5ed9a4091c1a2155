//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod session;

use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{BoxApp, WebSocketAccept, WebSocketDisconnect, WebSocketScope};
use callgate_drive::ResponseBody;
use callgate_drive::websocket::{self as drive, Answer, accepted};
use http::header::{HeaderValue, SEC_WEBSOCKET_KEY};
use http::{Response, Version};
use hyper::upgrade::OnUpgrade;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::detach;
use super::exchange::{replacement, respond};

/// The answer to a handshake in the making.
#[derive(Debug)]
pub(super) struct Handshake {
    inner: drive::Handshake,
    version: Version,
    /// `sec-websocket-accept`, where the version of HTTP has it.
    accept_key: Option<HeaderValue>,
    on_upgrade: Option<OnUpgrade>,
    grace: Duration,
    max_message: usize,
}

impl Handshake {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<WebSocketScope>,
        on_upgrade: OnUpgrade,
        grace: Duration,
        max_message: usize,
    ) -> Self {
        let version = scope.version;
        let accept_key = scope
            .headers
            .get(SEC_WEBSOCKET_KEY)
            .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
        Self {
            inner: drive::Handshake::new(app, scope),
            version,
            accept_key,
            on_upgrade: Some(on_upgrade),
            grace,
            max_message,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let response = match ready!(self.inner.poll(cx)) {
            Answer::Accept(accept) => self.accept(accept),
            Answer::Refuse(status) => replacement(status),
            Answer::Deny(head, body) => respond(head, body),
        };
        self.detach();
        Poll::Ready(response)
    }

    /// The answer that opens the WebSocket; the session takes over the application.
    fn accept(&mut self, accept: WebSocketAccept) -> Response<ResponseBody> {
        let head = accepted(accept, self.version, self.accept_key.take());
        let (call, mailbox) = self.inner.open();
        match (Handle::try_current(), self.on_upgrade.take()) {
            (Ok(runtime), Some(on_upgrade)) => {
                runtime.spawn(session::run(
                    call,
                    mailbox,
                    on_upgrade,
                    self.max_message,
                    self.grace,
                ));
            }
            _ => {
                mailbox.over(WebSocketDisconnect::new(1006));
                if let Some(call) = call {
                    detach(call, mailbox, self.grace);
                }
            }
        }
        respond(head, ResponseBody::empty())
    }

    /// Lets what is left of the call go on by itself.
    fn detach(&mut self) {
        if let Some((call, end)) = self.inner.detach() {
            detach(call, end, self.grace);
        }
    }
}

impl Drop for Handshake {
    /// Whoever asked has gone away: the application is told, and ends in its own time.
    fn drop(&mut self) {
        self.detach();
    }
}
