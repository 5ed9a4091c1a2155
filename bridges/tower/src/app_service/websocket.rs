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
    PerMessageDeflate, SessionConfig, Transport, accept_key, response_head,
};
use callgate_drive::{Call, ResponseBody};
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
    grace_period: Duration,
    config: SessionConfig,
}

impl HandshakeFuture {
    pub(super) fn new(
        app: &BoxApp,
        mut scope: Box<WebSocketScope>,
        on_upgrade: OnUpgrade,
        grace_period: Duration,
        config: SessionConfig,
        per_message_deflate: PerMessageDeflate,
    ) -> Self {
        Self {
            deflate: DeflateParameters::negotiate(&mut scope, per_message_deflate),
            version: scope.version,
            accept_key: accept_key(&scope.headers),
            handshake: Handshake::new(app, scope),
            on_upgrade: Some(on_upgrade),
            grace_period,
            config,
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
                grace_period: self.grace_period,
            },
        )
        .deflate(self.deflate);
        if let (Ok(runtime), Some(on_upgrade)) = (Handle::try_current(), self.on_upgrade.take()) {
            let config = self.config;
            runtime.spawn(async move {
                if let Ok(stream) = on_upgrade.await {
                    let transport = Transport::new(TokioIo::new(stream));
                    let mut session = websocket.into_session(transport, config);
                    session.run(|_| Poll::Pending).await;
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
            detach(call, mailbox, self.grace_period);
        }
    }
}

impl Future for HandshakeFuture {
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let this = self.get_mut();
        let response = match ready!(this.handshake.poll(cx)) {
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
