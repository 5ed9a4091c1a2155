//! Runs the session of an open WebSocket with the settings and the shutdown of this server.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate_drive::Call;
use callgate_drive::websocket::{
    self as drive, Detach, Mailbox, PeerState, SessionConfig, Shutdown, Transport,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::context::ServerContext;
use crate::exchange::Guard;
use crate::stage::{Stage, StageWatch};
use crate::stream::Stream;

/// An accepted WebSocket whose connection still belongs to hyper.
pub(crate) type AcceptedWebSocket = drive::AcceptedWebSocket<CallDetacher>;

/// Runs detached calls on tasks that a shutdown of the server waits for.
#[derive(Debug)]
pub(crate) struct CallDetacher(pub(super) Arc<ServerContext>);

impl Detach for CallDetacher {
    fn detach(&self, call: Call, mailbox: Arc<Mailbox>) {
        self.0.detach(call, mailbox);
    }
}

/// Runs a WebSocket over the connection that hyper has returned. `unread` is the input that hyper
/// has read and not used.
pub(crate) fn run_over_http1(
    websocket: AcceptedWebSocket,
    server: &ServerContext,
    stream: Stream,
    unread: Bytes,
) -> impl Future<Output = ()> + use<> {
    let transport = Transport::new(stream).unread(unread).peer_state(peer_state);
    run(websocket, server, transport)
}

/// Runs a WebSocket over a stream of an HTTP/2 connection. `guard` keeps the connection in use.
pub(super) async fn run_over_http2(
    websocket: AcceptedWebSocket,
    server: Arc<ServerContext>,
    on_upgrade: OnUpgrade,
    _guard: Option<Guard>,
) {
    // When the client goes away before that, the WebSocket is dropped, and the application receives
    // a disconnect.
    if let Ok(stream) = on_upgrade.await {
        run(websocket, &server, Transport::new(TokioIo::new(stream))).await;
    }
}

/// Runs a session. Its future holds no value twice, because it is nearly all of the memory of an
/// idle WebSocket.
fn run<S>(
    websocket: AcceptedWebSocket,
    server: &ServerContext,
    transport: Transport<S>,
) -> impl Future<Output = ()> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = SessionConfig {
        max_message_size: server.config.ws_max_size,
        ping_interval: server.config.ws_ping_interval,
        ping_timeout: server.config.ws_ping_timeout,
    };
    let mut session = websocket.into_session(transport, config);
    let stages = server.stages.clone();
    async move {
        let mut stage = pin!(stages.watch());
        session.run(|cx| poll_shutdown(stage.as_mut(), cx)).await;
    }
}

fn poll_shutdown(stage: Pin<&mut StageWatch<'_>>, cx: &mut Context<'_>) -> Poll<Shutdown> {
    match stage.poll_new(cx) {
        Some(Stage::Ending) => Poll::Ready(Shutdown::Drop),
        Some(_) => Poll::Ready(Shutdown::Close),
        None => Poll::Pending,
    }
}

fn peer_state(stream: &Stream) -> PeerState {
    if stream.is_read_closed() {
        PeerState::Disconnected
    } else {
        PeerState::Connected
    }
}
