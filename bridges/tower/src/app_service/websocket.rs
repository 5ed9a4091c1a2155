//! A WebSocket of an application: the handshake, which is an HTTP exchange, and the session that
//! follows it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{BoxApp, WebSocketAccept, WebSocketScope};
use callgate_drive::websocket::{
    AcceptedWebSocket, DeflateParameters, Detach, Handshake, HandshakeResponse, Mailbox,
    PerMessageDeflate, SessionConfig, Shutdown, Transport, accept_key, response_head,
};
use callgate_drive::{Call, ResponseBody, ShutdownSignal};
use http::header::HeaderValue;
use http::{Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;

use super::detach::detach;
use super::replacement::replacement;

/// The future of the response to a handshake. When the future is dropped, the application receives
/// a disconnect.
#[derive(Debug)]
pub(super) struct HandshakeFuture {
    handshake: Handshake,
    version: Version,
    /// The value of `sec-websocket-accept`, which only HTTP/1.1 has.
    accept_key: Option<HeaderValue>,
    /// The parameters of permessage-deflate, if an offer of the client is accepted.
    deflate: Option<DeflateParameters>,
    on_upgrade: Option<OnUpgrade>,
    settings: WebSocketSettings,
}

/// The settings of the service that concern a WebSocket.
#[derive(Clone, Debug)]
pub(super) struct WebSocketSettings {
    pub(super) session: SessionConfig,
    pub(super) per_message_deflate: PerMessageDeflate,
    pub(super) grace_period: Duration,
    /// Set when the server shuts down. `None` for a server that does not say so.
    pub(super) shutdown: Option<ShutdownSignal>,
}

impl HandshakeFuture {
    pub(super) fn new(
        app: &BoxApp,
        mut scope: Box<WebSocketScope>,
        on_upgrade: OnUpgrade,
        settings: WebSocketSettings,
    ) -> Self {
        Self {
            deflate: DeflateParameters::negotiate(&mut scope, settings.per_message_deflate),
            version: scope.version,
            accept_key: accept_key(&scope.headers),
            handshake: Handshake::new(app, scope),
            on_upgrade: Some(on_upgrade),
            settings,
        }
    }

    /// Passes the call and the mailbox to a session. Returns the response that opens the WebSocket.
    ///
    /// Without a runtime, or when the connection ends before the response is sent, the WebSocket is
    /// dropped, and the application receives a disconnect.
    fn accept(&mut self, accept: WebSocketAccept) -> Response<ResponseBody> {
        let websocket = AcceptedWebSocket::new(
            self.handshake.open(),
            CallDetacher {
                grace_period: self.settings.grace_period,
            },
        )
        .deflate(self.deflate);
        if let (Ok(runtime), Some(on_upgrade)) = (Handle::try_current(), self.on_upgrade.take()) {
            let config = self.settings.session;
            let mut shutdown = self.settings.shutdown.take();
            runtime.spawn(async move {
                if let Ok(stream) = on_upgrade.await {
                    let transport = Transport::new(TokioIo::new(stream));
                    let mut session = websocket.into_session(transport, config);
                    session.run(|cx| poll_shutdown(&mut shutdown, cx)).await;
                }
            });
        }
        let extensions = self.deflate.map(|parameters| parameters.header_value());
        let head = response_head(accept, self.version, self.accept_key.take(), extensions);
        head.into_response(ResponseBody::empty())
    }

    /// Moves a call that has not ended to a task of its own.
    fn detach(&mut self) {
        if let Some((call, mailbox)) = self.handshake.detach() {
            detach(call, mailbox, self.settings.grace_period);
        }
    }
}

/// Returns the shutdown of the server once.
fn poll_shutdown(signal: &mut Option<ShutdownSignal>, cx: &mut Context<'_>) -> Poll<Shutdown> {
    let Some(shutdown) = signal else {
        return Poll::Pending;
    };
    ready!(shutdown.poll_set(cx));
    *signal = None;
    Poll::Ready(Shutdown::Close)
}

impl Future for HandshakeFuture {
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let this = self.get_mut();
        let mut response = this.handshake.poll(cx);
        // The signal stays, for the session of a handshake that is accepted at the same moment.
        let is_shutdown = |shutdown: &mut ShutdownSignal| shutdown.poll_set(cx).is_ready();
        if response.is_pending() && this.settings.shutdown.as_mut().is_some_and(is_shutdown) {
            this.handshake.refuse_at_shutdown();
            response = this.handshake.poll(cx);
        }
        let response = match ready!(response) {
            HandshakeResponse::Accept(accept) => this.accept(accept),
            HandshakeResponse::Refuse(status) => replacement(status),
            HandshakeResponse::Deny(head, body) => head.into_response(body),
        };
        this.detach();
        Poll::Ready(response)
    }
}

impl Drop for HandshakeFuture {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Detaches calls to tasks of the runtime.
struct CallDetacher {
    grace_period: Duration,
}

impl Detach for CallDetacher {
    fn detach(&self, call: Call, mailbox: Arc<Mailbox>) {
        detach(call, mailbox, self.grace_period);
    }
}
