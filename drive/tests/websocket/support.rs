//! A session over a connection in memory, and its client.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use callgate::{AppError, BoxApp, Receiver, Scope, Sender, WebSocketAccept, WebSocketScope};
use callgate_drive::Call;
use callgate_drive::websocket::{
    AcceptedWebSocket, DeflateParameters, Detach, Handshake, HandshakeResponse, Mailbox, PeerState,
    SessionConfig, Shutdown, Transport,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf, duplex};
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
        let poll_shutdown = |cx: &mut Context<'_>| match asked.poll_recv(cx) {
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

/// Reads a frame of the session. Returns its first octet and its payload, of at most 65,535 octets.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let length = match stream.read_u8().await.unwrap() {
        126 => stream.read_u16().await.unwrap(),
        length => length.into(),
    };
    let mut payload = vec![0; length.into()];
    stream.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

/// A connection whose client has sent all of its input at once, and takes all output.
pub(crate) struct Flood {
    input: io::Cursor<Vec<u8>>,
    /// The octets of input that may be read.
    available: Arc<AtomicUsize>,
    /// The octets of output.
    written: Arc<AtomicUsize>,
}

impl Flood {
    /// Creates a connection with this input, of which nothing may be read yet. Returns the octets of
    /// input that may be read and those of output as well.
    pub(crate) fn new(input: Vec<u8>) -> (Self, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let flood = Self {
            input: io::Cursor::new(input),
            available: Arc::default(),
            written: Arc::default(),
        };
        let (available, written) = (flood.available.clone(), flood.written.clone());
        (flood, available, written)
    }
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = self.available.load(Ordering::Relaxed);
        let count = available.min(buffer.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        let mut octets = vec![0; count];
        io::Read::read_exact(&mut self.input, &mut octets)?;
        buffer.put_slice(&octets);
        self.available.store(available - count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.fetch_add(octets.len(), Ordering::Relaxed);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
