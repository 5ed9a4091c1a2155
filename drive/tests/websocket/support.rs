//! A session over a connection in memory, and its client.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use callgate::{AppError, BoxApp, Receiver, Scope, Sender, WebSocketAccept, WebSocketScope};
use callgate_drive::Call;
use callgate_drive::websocket::{
    AcceptedWebSocket, DeflateParameters, Detach, Handshake, HandshakeResponse, Mailbox, PeerState,
    SessionConfig, Shutdown, Transport,
};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The buffer of the connection in each direction, in bytes.
const BUFFER: usize = 1024;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Longer than any time-out.
pub(crate) const LONG: Duration = Duration::from_secs(3600);
/// Timers complete at the next full millisecond.
pub(crate) const TICK: Duration = Duration::from_millis(2);

pub(crate) type Client = WebSocketStream<DuplexStream>;

/// Runs detached calls with this grace period.
pub(crate) struct Detacher(Duration);

impl Detach for Detacher {
    fn detach(&self, call: Call, mailbox: Arc<Mailbox>) {
        tokio::spawn(call.run(mailbox, self.0));
    }
}

/// A session over a connection in memory, and its client.
pub(crate) struct Opened {
    pub(crate) session: tokio::task::JoinHandle<()>,
    pub(crate) client: Client,
    /// Asks the session to close or to drop the WebSocket.
    pub(crate) shutdown: mpsc::UnboundedSender<Shutdown>,
}

/// Opens a WebSocket of an application that accepts it and then calls `app`. The grace period is
/// [`LONG`].
pub(crate) async fn open<F, Fut>(
    config: SessionConfig,
    peer: fn(&DuplexStream) -> PeerState,
    app: F,
) -> Opened
where
    F: Fn(Receiver, Sender) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    open_with(LONG, config, peer, app).await
}

pub(crate) async fn open_with<F, Fut>(
    grace_period: Duration,
    config: SessionConfig,
    peer: fn(&DuplexStream) -> PeerState,
    app: F,
) -> Opened
where
    F: Fn(Receiver, Sender) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let accepted = accept(grace_period, app).await;
    run(accepted, config, peer).await
}

/// Opens a WebSocket whose messages are compressed.
pub(crate) async fn open_compressed<F, Fut>(
    parameters: DeflateParameters,
    config: SessionConfig,
    app: F,
) -> Opened
where
    F: Fn(Receiver, Sender) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let accepted = accept(LONG, app).await.deflate(Some(parameters));
    run(accepted, config, unknown).await
}

/// Returns a WebSocket that the application has accepted.
pub(crate) async fn accept<F, Fut>(grace_period: Duration, app: F) -> AcceptedWebSocket<Detacher>
where
    F: Fn(Receiver, Sender) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let app = BoxApp::new(move |_: Scope, mut receiver: Receiver, sender: Sender| {
        let app = app.clone();
        async move {
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            app(receiver, sender).await
        }
    });
    let scope = WebSocketScope::new("/".parse().unwrap());
    let mut handshake = Handshake::new(&app, Box::new(scope));
    let response = poll_fn(|cx| handshake.poll(cx)).await;
    assert!(matches!(response, HandshakeResponse::Accept(_)));
    AcceptedWebSocket::new(handshake.open(), Detacher(grace_period))
}

/// Runs the session of an accepted WebSocket.
async fn run(
    websocket: AcceptedWebSocket<Detacher>,
    config: SessionConfig,
    peer: fn(&DuplexStream) -> PeerState,
) -> Opened {
    let (server_end, client_end) = duplex(BUFFER);
    let transport = Transport::new(server_end).peer_state(peer);
    let (shutdown, mut asked) = mpsc::unbounded_channel();
    let mut session = websocket.into_session(transport, config);
    let session = tokio::spawn(async move {
        let poll_shutdown = |cx: &mut std::task::Context<'_>| match asked.poll_recv(cx) {
            Poll::Ready(Some(stage)) => Poll::Ready(stage),
            _ => Poll::Pending,
        };
        session.run(poll_shutdown).await;
    });
    Opened {
        session,
        client: WebSocketStream::from_raw_socket(client_end, Role::Client, None).await,
        shutdown,
    }
}

pub(crate) fn without_pings() -> SessionConfig {
    SessionConfig {
        ping_interval: None,
        ..SessionConfig::default()
    }
}

pub(crate) fn unknown(_: &DuplexStream) -> PeerState {
    PeerState::Unknown
}
