//! Runs the session of an open WebSocket with the settings and the shutdown of this server.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate_drive::Call;
use callgate_drive::websocket::message::MessageError;
use callgate_drive::websocket::{
    self as drive, Detach, Mailbox, PeerState, SessionConfig, SessionEnd, Shutdown, Transport,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::concurrency::Permit;
use crate::context::ServerContext;
use crate::limit::Limit;
use crate::record::{ExchangeRecord, Outcome};
use crate::registry::OpenConnection;
use crate::stage::{Stage, StageWatch};
use crate::stream::Stream;

/// A WebSocket that the application has accepted, before its session.
pub(crate) type AcceptedWebSocket = drive::AcceptedWebSocket<CallDetacher>;

/// Runs detached calls on tasks that a shutdown of the server waits for. Lives as long as its WebSocket.
#[derive(Debug)]
pub(crate) struct CallDetacher {
    server: Arc<ServerContext>,
    _place: Option<Permit>,
}

impl CallDetacher {
    /// Creates the detacher of a WebSocket with this place among the open ones.
    pub(super) fn new(server: Arc<ServerContext>, place: Option<Permit>) -> Self {
        Self {
            server,
            _place: place,
        }
    }
}

impl Detach for CallDetacher {
    fn detach(&self, call: Call, mailbox: Arc<Mailbox>) {
        self.server.detach(call, mailbox);
    }
}

/// Runs a WebSocket over an HTTP/1.1 connection. `unread` is the input behind the handshake.
pub(crate) fn run_over_http1(
    websocket: AcceptedWebSocket,
    server: &Arc<ServerContext>,
    stream: Stream,
    unread: Bytes,
    connection: Arc<OpenConnection>,
    record: Option<Box<ExchangeRecord>>,
) -> impl Future<Output = ()> + use<> {
    let transport = Transport::new(stream).unread(unread).peer_state(peer_state);
    run(websocket, server, transport, connection, record)
}

/// Runs a session. Its future holds no value twice, because it is nearly all of the memory of an
/// idle WebSocket.
pub(crate) fn run<S>(
    websocket: AcceptedWebSocket,
    server: &Arc<ServerContext>,
    transport: Transport<S>,
    connection: Arc<OpenConnection>,
    record: Option<Box<ExchangeRecord>>,
) -> impl Future<Output = ()> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = SessionConfig {
        max_message_size: server.config.websocket.max_size,
        max_message_frames: server.config.websocket.max_frames.get(),
        ping_interval: server.config.websocket.ping_interval,
        ping_timeout: server.config.websocket.ping_timeout,
    };
    let mut session = websocket.into_session(transport, config);
    let server = server.clone();
    async move {
        let mut stage = pin!(server.stages.watch());
        let end = session.run(|cx| poll_shutdown(stage.as_mut(), cx)).await;
        if let SessionEnd::InvalidInput(error) = end
            && let Some(limit) = limit(error)
        {
            server.limits.reached(limit);
        }
        if let Some(mut record) = record {
            record.outcome = match end {
                SessionEnd::Closed => Outcome::Complete,
                SessionEnd::ConnectionLost => Outcome::ClientGone,
                SessionEnd::TimedOut => Outcome::TimedOut,
                SessionEnd::InvalidInput(_) | SessionEnd::Dropped => Outcome::CutByServer,
            };
            let traffic = session.traffic();
            record.octets_in = traffic.octets_in;
            record.octets_out = traffic.octets_out;
            record.messages_in = traffic.messages_in;
            record.messages_out = traffic.messages_out;
        }
        // The connection is open as long as its session runs.
        drop(connection);
    }
}

/// Returns the limit that a message has reached.
fn limit(error: MessageError) -> Option<Limit> {
    match error {
        MessageError::TooLarge => Some(Limit::WebSocketMessageSize),
        MessageError::TooManyFrames => Some(Limit::WebSocketMessageFrames),
        _ => None,
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
