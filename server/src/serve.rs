//! A server's life: start-up, serving, shutdown.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callgate::{App, BoxApp};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::connection;
use crate::lifespan::{self, Lifespan};
use crate::link::Link;
use crate::server::Server;
use crate::stage::Stage;

/// After this time without anything from a client, the system asks its system whether it is there.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long the lifespan may take at most after a server was told twice to stop.
const URGENT: Duration = Duration::from_secs(1);

/// Serves `app` until the process is told to stop, by SIGINT or SIGTERM.
///
/// Runs on the tokio runtime that it is called on; returns when everything that it has accepted is
/// complete and the application's lifespan is shut down. A second signal ends at once what still
/// runs, and gives the lifespan one second.
///
/// ```no_run
/// # async fn hello(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> { Ok(()) }
/// # async fn run() -> Result<(), callgate_server::ServeError> {
/// callgate_server::serve(hello, callgate_server::Config::default()).await
/// # }
/// ```
///
/// # Errors
///
/// As [`Listening::bind`] and [`Listening::serve`].
pub async fn serve(app: impl App, config: Config) -> Result<(), ServeError> {
    let mut stops = Stops::new()?;
    let listening = Listening::bind(config)?;
    listening.run(BoxApp::new(app), &mut stops).await
}

/// A server that is bound to its address and has not begun to serve.
///
/// For those who want to know the address, or decide themselves when to stop:
///
/// ```no_run
/// # async fn hello(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> { Ok(()) }
/// # async fn run() -> Result<(), callgate_server::ServeError> {
/// let mut config = callgate_server::Config::default();
/// config.port = 0;
/// let listening = callgate_server::Listening::bind(config)?;
/// println!("{}", listening.local_addr());
/// let stop = tokio::time::sleep(std::time::Duration::from_secs(60));
/// listening.serve(hello, stop).await
/// # }
/// ```
#[derive(Debug)]
pub struct Listening {
    listener: StdListener,
    address: SocketAddr,
    config: Config,
}

impl Listening {
    /// Binds to the address that `config` says. Connections queue up from now on; they are accepted
    /// after the application's start-up.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] when the address cannot be had.
    pub fn bind(config: Config) -> Result<Self, ServeError> {
        let address = SocketAddr::new(config.host, config.port);
        let bind = || {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM.nonblocking(),
                Some(Protocol::TCP),
            )?;
            socket.set_reuse_address(true)?;
            // Connections inherit it: a client that has lost its network in the middle of a request
            // would be waited for without end.
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEP_ALIVE))?;
            socket.bind(&address.into())?;
            socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
            let listener = StdListener::from(socket);
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        match bind() {
            Ok((listener, address)) => Ok(Self {
                listener,
                address,
                config,
            }),
            Err(reason) => Err(ServeError::Listen { address, reason }),
        }
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `app` until `stop` is ready, and then shuts down as [`serve`] does. Signals are left
    /// to the caller.
    ///
    /// # Errors
    ///
    /// [`ServeError::Startup`] or [`ServeError::Shutdown`] when the application's lifespan fails.
    pub async fn serve(
        self,
        app: impl App,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let mut stop = Once(Some(Box::pin(stop)));
        self.run(BoxApp::new(app), &mut stop).await
    }

    async fn run(self, app: BoxApp, stop: &mut impl Stop) -> Result<(), ServeError> {
        let listener =
            TcpListener::from_std(self.listener).map_err(|reason| ServeError::Listen {
                address: self.address,
                reason,
            })?;
        let server = Arc::new(Server::new(app, self.config));
        let started = tokio::select! {
            // An application whose start-up is complete is always shut down.
            biased;
            started = lifespan::start(&server.app, server.config.lifespan) => started,
            () = stop.stopped() => return Ok(()),
        };
        let (lifespan, state) = started.map_err(ServeError::Startup)?;
        server.set_state(state);
        tracing::info!(
            "Callgate running on http://{} (press CTRL+C to quit)",
            self.address
        );
        accept_until_stopped(&server, &listener, stop).await;
        let time_left = drain(&server, listener, stop).await;
        match lifespan {
            Some(lifespan) => shut_down(lifespan, time_left, stop).await,
            None => Ok(()),
        }
    }
}

async fn accept_until_stopped(server: &Arc<Server>, listener: &TcpListener, stop: &mut impl Stop) {
    let mut stopped = pin!(stop.stopped());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => begin(server, stream, client),
                Err(error) => pause_after(&error).await,
            }
        }
    }
}

fn begin(server: &Arc<Server>, stream: TcpStream, client: SocketAddr) {
    // Without an address of its own it has been closed already.
    let Ok(address) = stream.local_addr() else {
        return;
    };
    let link = Arc::new(Link::new(server.clone(), client, address));
    server
        .tasks
        .spawn(connection::serve(server.clone(), stream, link));
}

/// A connection that could not be accepted is the client's matter, except when the system has run
/// out of something: then trying again at once would only burn time.
async fn pause_after(error: &io::Error) {
    let is_of_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !is_of_client {
        tracing::error!("cannot accept a connection: {error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Finishes what has been accepted, and what the system has accepted for us. Returns how long the
/// lifespan may take after that, if it has a limit.
async fn drain(
    server: &Arc<Server>,
    listener: TcpListener,
    stop: &mut impl Stop,
) -> Option<Duration> {
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, client)) = listener.accept() {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                begin(server, stream, client);
            }
        }
    }
    server.stages.advance(Stage::Draining);
    server.tasks.close();
    if !server.tasks.is_empty() {
        tracing::info!("waiting for connections and background work (signal again to end them)");
    }
    let limit = server.config.timeout_graceful_shutdown;
    let time_left = tokio::select! {
        biased;
        () = server.tasks.wait() => return limit,
        () = stop.stopped() => Some(limit.map_or(URGENT, |limit| limit.min(URGENT))),
        () = timeout(limit) => limit,
    };
    tracing::warn!(
        "ending what still runs: {} connections or applications",
        server.tasks.len()
    );
    server.stages.advance(Stage::Ending);
    server.tasks.wait().await;
    time_left
}

/// Shuts the application's lifespan down, within this time.
async fn shut_down(
    lifespan: Lifespan,
    time_left: Option<Duration>,
    stop: &mut impl Stop,
) -> Result<(), ServeError> {
    let too_late = async {
        tokio::select! {
            () = stop.stopped() => {}
            () = timeout(time_left) => {}
        }
    };
    tokio::select! {
        biased;
        result = lifespan.shutdown() => result.map_err(ServeError::Shutdown),
        () = too_late => Err(ServeError::Shutdown("it did not answer in time".into())),
    }
}

/// Ready after this time; never, if there is none.
async fn timeout(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// What tells a server to stop, once and again.
trait Stop {
    async fn stopped(&mut self);
}

/// SIGINT and SIGTERM.
struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stops {
    fn new() -> Result<Self, ServeError> {
        let listen = |kind| signal(kind).map_err(ServeError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }
}

impl Stop for Stops {
    async fn stopped(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A future, and then never again.
struct Once<F>(Option<std::pin::Pin<Box<F>>>);

impl<F: Future<Output = ()>> Stop for Once<F> {
    async fn stopped(&mut self) {
        match &mut self.0 {
            Some(stop) => {
                stop.await;
                self.0 = None;
            }
            None => std::future::pending().await,
        }
    }
}

/// Why a server did not start, or did not shut down as it should.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// Signals cannot be listened for.
    Signals(io::Error),
    /// The application's start-up failed: its message, or the rule that it broke.
    Startup(String),
    /// The application's shutdown, or its lifespan before that, failed.
    Shutdown(String),
}

impl ServeError {
    /// The exit status for a process that ends with this: 3 for a failed start, 1 for a failed
    /// shutdown (rules `LIFE-05`, `LIFE-10`).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Listen { .. } | Self::Signals(_) | Self::Startup(_) => 3,
            Self::Shutdown(_) => 1,
        }
    }
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen { address, reason } => {
                let remedy = match reason.kind() {
                    io::ErrorKind::AddrInUse => " (choose another with --port)",
                    io::ErrorKind::AddrNotAvailable => {
                        " (choose an address of this machine with --host)"
                    }
                    io::ErrorKind::PermissionDenied => " (choose a port above 1023 with --port)",
                    _ => "",
                };
                // The system's words, without the number that it goes by.
                let reason = reason.to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default();
                write!(
                    f,
                    "cannot listen on {address}: {}{remedy}",
                    reason.to_lowercase()
                )
            }
            Self::Signals(reason) => write!(f, "cannot listen for signals: {reason}"),
            Self::Startup(reason) => write!(f, "the application failed to start: {reason}"),
            Self::Shutdown(reason) => write!(f, "the application failed to shut down: {reason}"),
        }
    }
}

impl std::error::Error for ServeError {}

#[cfg(test)]
mod tests {
    use callgate::{AppError, LifespanStartupComplete, ReceiveEvent, Receiver, Scope, Sender};
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    /// Told to stop once for each permit.
    struct Permits(Arc<Semaphore>);

    impl Stop for Permits {
        async fn stopped(&mut self) {
            self.0.acquire().await.unwrap().forget();
        }
    }

    #[tokio::test]
    async fn a_server_that_is_told_twice_to_stop_does_not_wait() {
        let called = Arc::new(Semaphore::new(0));
        let app = {
            let called = called.clone();
            move |scope, mut receiver: Receiver, sender: Sender| {
                let called = called.clone();
                async move {
                    if let Scope::Lifespan(_) = scope {
                        receiver.receive().await;
                        sender.send(LifespanStartupComplete::new()).await?;
                        let event = receiver.receive().await;
                        assert_eq!(event, ReceiveEvent::LifespanShutdown);
                    }
                    called.add_permits(1);
                    std::future::pending::<Result<(), AppError>>().await
                }
            }
        };
        let config = Config {
            port: 0,
            ..Config::default()
        };
        let listening = Listening::bind(config).unwrap();
        let address = listening.local_addr();
        let stops = Arc::new(Semaphore::new(0));
        let mut stop = Permits(stops.clone());
        let serving = tokio::spawn(async move { listening.run(BoxApp::new(app), &mut stop).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
        client.write_all(request).await.unwrap();
        called.acquire().await.unwrap().forget();
        stops.add_permits(2);
        let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
        let error = ended.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, ServeError::Shutdown(_)), "{error}");
        // It was told of the shutdown all the same.
        assert_eq!(called.available_permits(), 1);
    }
}
