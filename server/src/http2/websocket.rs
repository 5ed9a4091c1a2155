//! WebSockets over HTTP/2: each is carried by a stream that extended CONNECT opens (RFC 8441).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::WebSocketScope;
use callgate_drive::ResponseBody;
use callgate_drive::websocket::Transport;
use http::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::Span;

use super::response_content::ResponseContent;
use super::stream_state::StreamState;
use super::stream_task::set_stream;
use crate::context::ServerContext;
use crate::websocket::{self, AcceptedWebSocket, Handshake};

/// The most that hyper is given at once of the output of a WebSocket, in octets.
///
/// hyper copies each write at once, even if the stream has no window.
const MAX_WRITE: usize = 16 * 1024;

/// A handshake whose application has not responded.
#[derive(Debug)]
pub(super) struct PendingHandshake {
    handshake: Box<Handshake>,
    server: Arc<ServerContext>,
    on_upgrade: Option<OnUpgrade>,
    /// `None` once the response has been returned.
    stream: Option<Arc<StreamState>>,
}

impl PendingHandshake {
    // Not inlined, because it would enlarge the stack of every request.
    #[inline(never)]
    pub(super) fn new(
        scope: Box<WebSocketScope>,
        on_upgrade: Option<OnUpgrade>,
        stream: Arc<StreamState>,
        span: Span,
    ) -> Self {
        let connection = &stream.load().info;
        Self {
            handshake: Handshake::new(scope, connection, span),
            server: connection.server.clone(),
            on_upgrade,
            stream: Some(stream),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseContent>> {
        if let Some(stream) = &self.stream {
            set_stream(stream);
        }
        let mut response = ready!(self.handshake.poll(cx));
        let (websocket::Response::Accepted(head, _) | websocket::Response::Refused(head, _)) =
            &mut response;
        if let Some(stream) = &self.stream {
            stream.record(|record| record.respond(head));
        }
        let (mut head, body) = match response {
            websocket::Response::Accepted(head, websocket) => {
                self.open(websocket);
                (head, ResponseBody::empty())
            }
            websocket::Response::Refused(head, body) => (head, body),
        };
        self.server.add_default_headers(&mut head.headers);
        let content = ResponseContent::new(body, self.stream.take());
        Poll::Ready(head.into_response(content))
    }

    fn open(&mut self, websocket: AcceptedWebSocket) {
        if let (Some(on_upgrade), Some(stream)) = (self.on_upgrade.take(), self.stream.take()) {
            let session = run(websocket, self.server.clone(), on_upgrade, stream);
            self.server.spawn_tracked(session);
        }
    }
}

/// Runs a WebSocket over its stream.
async fn run(
    websocket: AcceptedWebSocket,
    server: Arc<ServerContext>,
    on_upgrade: OnUpgrade,
    stream: Arc<StreamState>,
) {
    // When the client goes away before that, the WebSocket is dropped, and the application receives
    // a disconnect.
    if let Ok(upgraded) = on_upgrade.await {
        let tunnel = Tunnel {
            upgraded: TokioIo::new(upgraded),
            stream: stream.clone(),
        };
        let open = stream.load().info.open.clone();
        let record = stream.take_record();
        websocket::run(websocket, &server, Transport::new(tunnel), open, record).await;
    }
    stream.close_output();
}

/// The octets of a stream that carries a WebSocket.
///
/// hyper writes them by a task of its own, which would wait for ever for a client that gives no
/// window. So the tunnel reports the end of the output, from which that task has a deadline. The task
/// ends when hyper has given everything to h2. h2 takes a write when the window has room for its first
/// octet, so after the task h2 may still hold the rest of the last write.
#[derive(Debug)]
struct Tunnel {
    upgraded: TokioIo<Upgraded>,
    stream: Arc<StreamState>,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.upgraded).poll_read(cx, buf);
        self.stream.load().received(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = buf.len().min(MAX_WRITE);
        Pin::new(&mut self.upgraded).poll_write(cx, &buf[..length])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upgraded).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.close_output();
        Pin::new(&mut self.upgraded).poll_shutdown(cx)
    }
}
