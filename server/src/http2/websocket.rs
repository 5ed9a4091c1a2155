//! WebSockets over HTTP/2: each is carried by a stream that extended CONNECT opens (RFC 8441).

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::WebSocketScope;
use callgate_drive::ResponseBody;
use callgate_drive::websocket::Transport;
use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::load::Guard;
use super::response_body::{GuardedBody, respond};
use crate::context::ServerContext;
use crate::websocket::{self, AcceptedWebSocket, Handshake};

/// A handshake whose application has not responded.
#[derive(Debug)]
pub(super) struct PendingHandshake {
    handshake: Box<Handshake>,
    server: Arc<ServerContext>,
    on_upgrade: Option<OnUpgrade>,
    /// `None` once the response has been returned.
    guard: Option<Guard>,
}

impl PendingHandshake {
    // Not inlined, because it would enlarge the stack of every request.
    #[inline(never)]
    pub(super) fn new(
        scope: Box<WebSocketScope>,
        on_upgrade: Option<OnUpgrade>,
        guard: Guard,
    ) -> Self {
        let server = guard.load().info.server.clone();
        Self {
            handshake: Handshake::new(scope, &server),
            server,
            on_upgrade,
            guard: Some(guard),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<GuardedBody>> {
        let (mut head, body) = match ready!(self.handshake.poll(cx)) {
            websocket::Response::Accepted(head, websocket) => {
                self.open(websocket);
                (head, ResponseBody::empty())
            }
            websocket::Response::Refused(head, body) => (head, body),
        };
        self.server.add_default_headers(&mut head.headers);
        Poll::Ready(respond(head, GuardedBody::new(body, self.guard.take())))
    }

    fn open(&mut self, websocket: AcceptedWebSocket) {
        if let Some(on_upgrade) = self.on_upgrade.take() {
            // hyper drops the response when it is sent. The guard stays with the session, as the
            // connection is in use.
            let session = run(
                websocket,
                self.server.clone(),
                on_upgrade,
                self.guard.take(),
            );
            self.server.tasks.spawn(session);
        }
    }
}

/// Runs a WebSocket over its stream. `guard` keeps the connection in use.
async fn run(
    websocket: AcceptedWebSocket,
    server: Arc<ServerContext>,
    on_upgrade: OnUpgrade,
    _guard: Option<Guard>,
) {
    // When the client goes away before that, the WebSocket is dropped, and the application receives
    // a disconnect.
    if let Ok(stream) = on_upgrade.await {
        let transport = Transport::new(TokioIo::new(stream));
        websocket::run(websocket, &server, transport).await;
    }
}
