//! Building and running a server.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
#[cfg(all(unix, feature = "cli"))]
use std::iter;
use std::mem;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callgate::{App, BoxApp};
#[cfg(feature = "reload")]
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::accept;
use crate::access_log::AccessLog;
use crate::admin::AdminServer;
use crate::alarm::elapsed;
use crate::config::{BindAddress, Config};
use crate::context::ServerContext;
use crate::error::ServeError;
use crate::lifespan;
#[cfg(all(unix, feature = "cli"))]
use crate::listener::PassedSocket;
use crate::listener::{AsyncListener, IntoListener, ListenAddr, Listener};
use crate::readiness::Readiness;
use crate::shutdown::{self, ServerHandle, ShutdownRequests};
use crate::signals::SignalThread;
#[cfg(all(unix, feature = "cli"))]
use crate::succession::Succession;
#[cfg(feature = "tls")]
use crate::tls::Acceptor;

/// Serves `app` at the addresses of `config` until SIGINT or SIGTERM.
///
/// The same as [`Server::new(app)`](Server::new)[`.config(config)`](Server::config)[`.serve()`](Server::serve).
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
/// As [`Server::bind`] and [`Server::serve`].
pub async fn serve(app: impl App, config: Config) -> Result<(), ServeError> {
    Server::new(app).config(config).serve().await
}

/// A server that has not begun to serve.
///
/// It listens on the addresses of its configuration ([`bind`](Self::bind)), on listeners that exist
/// ([`listener`](Self::listener)), or on both. Connections wait in the system's queue until the
/// application's start-up is complete.
///
/// ```no_run
/// # async fn hello(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> { Ok(()) }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use callgate_server::Server;
///
/// let server = Server::new(hello)
///     .listener(std::net::TcpListener::bind("127.0.0.1:0")?)?
///     .listener(tokio::net::TcpListener::bind("[::1]:0").await?)?;
/// for address in server.local_addrs() {
///     println!("listening on {address}");
/// }
/// let handle = server.handle();
/// tokio::spawn(async move {
///     tokio::time::sleep(std::time::Duration::from_secs(60)).await;
///     handle.shutdown();
/// });
/// server.serve().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a server does nothing until it serves"]
pub struct Server {
    app: BoxApp,
    config: Config,
    listeners: Vec<Listener>,
    addresses: Vec<ListenAddr>,
    /// The address of the settings of each listener; empty for a listener that was handed in.
    origins: Vec<String>,
    /// The admin listener; more than one for a name with several addresses.
    admin_listeners: Vec<Listener>,
    handle: ServerHandle,
    /// What the server shares with its predecessor and its successor, if it can be replaced.
    #[cfg(all(unix, feature = "cli"))]
    succession: Option<Arc<Succession>>,
}

impl Server {
    /// Creates a server for `app`, with the default configuration.
    pub fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            config: Config::default(),
            listeners: Vec::new(),
            addresses: Vec::new(),
            origins: Vec::new(),
            admin_listeners: Vec::new(),
            handle: ServerHandle::new(),
            #[cfg(all(unix, feature = "cli"))]
            succession: None,
        }
    }

    /// Sets the configuration. [`bind`](Self::bind) comes after this.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Binds to the addresses of the configuration, that of the admin listener included.
    ///
    /// Looking up the addresses of a name blocks the thread. A Unix socket is removed when the server
    /// no longer listens on it.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] when an address cannot be listened on.
    pub fn bind(mut self) -> Result<Self, ServeError> {
        for address in self.config.listen.addresses() {
            self.bind_to(&address)
                .map_err(|reason| ServeError::Listen { address, reason })?;
        }
        self.bind_admin()
    }

    fn bind_to(&mut self, address: &BindAddress) -> io::Result<()> {
        for listener in self.listeners_on(address)? {
            self.add(listener, address.to_string())?;
        }
        Ok(())
    }

    /// Returns the listeners on an address: those of the predecessor, or new ones.
    fn listeners_on(&self, address: &BindAddress) -> io::Result<Vec<Listener>> {
        #[cfg(all(unix, feature = "cli"))]
        if let Some(succession) = &self.succession {
            let inherited = succession.take(address);
            if !inherited.is_empty() {
                return Ok(inherited);
            }
        }
        Listener::bind(address, &self.config.listen)
    }

    pub(crate) fn add(&mut self, listener: Listener, origin: String) -> io::Result<()> {
        self.addresses.push(listener.local_addr()?);
        self.listeners.push(listener);
        self.origins.push(origin);
        Ok(())
    }

    /// Lets the server be replaced by another process.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn succession(mut self, succession: Arc<Succession>) -> Self {
        self.succession = Some(succession);
        self
    }

    /// Returns duplicates of the listeners, for another process.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn sockets_to_pass(&self) -> Result<Vec<PassedSocket>, ServeError> {
        let listeners = self.listeners.iter().zip(&self.origins);
        let admin = self.config.admin.bind.as_ref().map(ToString::to_string);
        let admin = (self.admin_listeners.iter()).zip(iter::repeat(admin.as_deref().unwrap_or("")));
        listeners
            .map(|(listener, origin)| (listener, origin.as_str()))
            .chain(admin)
            .map(|(listener, origin)| PassedSocket::new(listener, origin))
            .collect::<io::Result<_>>()
            .map_err(ServeError::Listener)
    }

    /// Adds a listener that exists: a `TcpListener` of the standard library or of Tokio, or, on Unix, a
    /// `UnixListener` of either.
    ///
    /// The server makes the listener non-blocking and enables TCP keep-alive. A connection of a
    /// Unix socket has no addresses: `client` and `server` are `None` in its scopes.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listener`] when the operating system refuses one of these.
    pub fn listener(mut self, listener: impl IntoListener) -> Result<Self, ServeError> {
        let listener = listener.into_listener().map_err(ServeError::Listener)?;
        self.add(listener, String::new())
            .map_err(ServeError::Listener)?;
        Ok(self)
    }

    /// Returns the addresses that the server listens on, in the order in which they were added.
    #[must_use]
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// Returns the first TCP address that the server listens on, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(|address| match address {
            ListenAddr::Tcp(address) => Some(*address),
            #[cfg(unix)]
            ListenAddr::Unix(_) => None,
        })
    }

    /// Returns the addresses of the admin listener; none without [`admin`](Config::admin), and before the
    /// server is bound.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn admin_addrs(&self) -> io::Result<Vec<ListenAddr>> {
        self.admin_listeners
            .iter()
            .map(Listener::local_addr)
            .collect()
    }

    /// Returns a handle that shuts the server down.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until SIGINT or SIGTERM (Ctrl-C on platforms without them), or until a handle asks
    /// for the shutdown.
    ///
    /// The server binds to the addresses of its configuration if it has no listener. It runs on the
    /// current Tokio runtime, and returns when everything that it has accepted has ended and the
    /// application's lifespan is shut down. A second signal ends the server within a second: what
    /// still runs is dropped, and the lifespan has the rest of that second.
    ///
    /// # Errors
    ///
    /// - [`ServeError::Setting`], [`Listen`](ServeError::Listen), [`Listener`](ServeError::Listener),
    ///   [`Signals`](ServeError::Signals), [`Startup`](ServeError::Startup) and
    ///   [`LifespanDeclined`](ServeError::LifespanDeclined) when the server cannot start.
    /// - [`ServeError::Shutdown`] when the application's lifespan fails.
    /// - [`ServeError::StillRunning`] when an application blocks its thread at the end of the shutdown.
    ///   Dropping the runtime would wait for that thread; `Runtime::shutdown_background` does not.
    pub async fn serve(self) -> Result<(), ServeError> {
        let server = self.bound()?;
        let _signals = SignalThread::start(server.handle(), None, || Ok(pending()))
            .await
            .map_err(ServeError::Signals)?;
        server.run().await
    }

    /// Serves until `stop` completes, or until a handle asks for the shutdown. The server does not
    /// listen for signals.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_until(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let server = self.bound()?;
        let handle = server.handle();
        let mut run = pin!(server.run());
        tokio::select! {
            biased;
            result = &mut run => return result,
            () = stop => handle.shutdown(),
        }
        run.await
    }

    /// Returns whether the configuration has addresses beside its host and port.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn has_addresses_to_bind(&self) -> bool {
        let listen = &self.config.listen;
        !listen.bind.is_empty() || listen.uds.is_some() || listen.fd.is_some()
    }

    /// Binds to the addresses of the configuration if there is no listener.
    pub(crate) fn bound(self) -> Result<Self, ServeError> {
        self.config.check()?;
        if self.listeners.is_empty() {
            self.bind()
        } else {
            self.bind_admin()
        }
    }

    /// Binds to the address of the admin listener, if there is one that is not bound.
    fn bind_admin(mut self) -> Result<Self, ServeError> {
        let Some(address) = self.config.admin.bind.clone() else {
            return Ok(self);
        };
        if !self.admin_listeners.is_empty() {
            return Ok(self);
        }
        self.admin_listeners = self
            .listeners_on(&address)
            .map_err(|reason| ServeError::Listen { address, reason })?;
        Ok(self)
    }

    /// Serves until a handle asks for the shutdown. There is at least one listener.
    pub(crate) async fn run(mut self) -> Result<(), ServeError> {
        #[cfg(all(unix, feature = "cli"))]
        if let Some(succession) = &self.succession {
            succession.share(self.sockets_to_pass()?);
        }
        let context = Arc::new(self.context()?);
        let admin_listeners = mem::take(&mut self.admin_listeners);
        let admin = AdminServer::new(admin_listeners, &context)?;
        let admin_runs = self.run_admin(admin);
        tokio::select! {
            biased;
            result = self.serve_clients(context) => result,
            never = admin_runs => match never {},
        }
    }

    fn context(&self) -> Result<ServerContext, ServeError> {
        let context = ServerContext::new(self.app.clone(), self.config.clone());
        #[cfg(all(unix, feature = "cli"))]
        let context = match &self.succession {
            Some(succession) => context.retirement(succession.retirement.clone()),
            None => context,
        };
        #[cfg(feature = "tls")]
        let context = {
            let acceptor = Acceptor::load(&self.config).map_err(ServeError::Tls)?;
            context.tls(acceptor.map(Arc::new))
        };
        let access_log = AccessLog::open(&self.config.log)?;
        if let Some(file) = access_log.file() {
            self.handle.add_log_file(file);
        }
        Ok(context.access_log(access_log))
    }

    /// Runs the admin listener. Of a predecessor and its successor, only one answers: the predecessor until
    /// its successor has taken over.
    fn run_admin(&self, admin: AdminServer) -> impl Future<Output = Infallible> + use<> {
        let handle = self.handle.clone();
        #[cfg(all(unix, feature = "cli"))]
        let succession = self.succession.clone();
        async move {
            #[cfg(all(unix, feature = "cli"))]
            if (succession.as_ref()).is_some_and(|succession| succession.has_predecessor()) {
                handle.started().await;
            }
            let handed_over = async {
                handle.stopping().await;
                #[cfg(all(unix, feature = "cli"))]
                if (succession.as_ref()).is_some_and(|succession| succession.is_handed_over()) {
                    return;
                }
                pending::<()>().await;
            };
            admin.run_until(handed_over).await
        }
    }

    /// Starts the application, and serves its clients until a handle asks for the shutdown.
    async fn serve_clients(self, context: Arc<ServerContext>) -> Result<(), ServeError> {
        let mut requests = self.handle.requests();
        let listeners = self
            .listeners
            .into_iter()
            .map(AsyncListener::new)
            .collect::<Result<Vec<_>, _>>()
            .map_err(ServeError::Listener)?;
        // A server that is not replaced by another process stops when a limit is reached.
        #[cfg(all(unix, feature = "cli"))]
        let stops_at_limit = self.succession.is_none();
        #[cfg(not(all(unix, feature = "cli")))]
        let stops_at_limit = true;
        let lifespan = tokio::select! {
            // An application whose start-up is complete is always shut down.
            biased;
            started = lifespan::start(&context.app, context.config.process.lifespan) => started?,
            () = requests.next() => return Ok(()),
        };
        if let Some(lifespan) = &lifespan {
            context.set_state(lifespan.state().clone());
        }
        #[cfg(feature = "tls")]
        let is_secured = context.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is_secured = false;
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &context.tls {
            self.handle.set_acceptor(acceptor.clone());
        }
        #[cfg(feature = "reload")]
        let _watching = context.tls.clone().map(watch);
        for address in &self.addresses {
            let scheme = match address {
                ListenAddr::Tcp(_) if is_secured => "https://",
                ListenAddr::Tcp(_) => "http://",
                #[cfg(unix)]
                ListenAddr::Unix(_) => "",
            };
            tracing::info!("Callgate running on {scheme}{address} (press CTRL+C to quit)");
        }
        context.readiness.set(Readiness::Ready);
        self.handle.set_started();
        tokio::select! {
            biased;
            () = requests.next() => {}
            limit = context.retirement.due(), if stops_at_limit => {
                tracing::info!("the server stops, because {limit}");
                self.handle.shutdown();
                requests.next().await;
            }
            never = accept::accept(&context, &listeners) => match never {},
        }
        context.readiness.set(Readiness::Stopping);
        #[cfg(all(unix, feature = "cli"))]
        let is_handed_over = self.succession.is_some_and(|succession| succession.close());
        #[cfg(not(all(unix, feature = "cli")))]
        let is_handed_over = false;
        // A successor accepts the connections that are in the queue.
        if !is_handed_over {
            serve_during_delay(&context, &listeners, &mut requests).await;
            for listener in listeners {
                match listener.into_listener() {
                    Ok(listener) => accept::accept_queued(&context, &listener),
                    Err(error) => tracing::error!("cannot accept queued connections: {error}"),
                }
            }
        }
        let drained = shutdown::drain(&context, &mut requests).await;
        let result = shutdown::finish(lifespan, drained, &mut requests).await;
        if let Some(file) = context.access_log_file() {
            let flushing = tokio::task::spawn_blocking(move || file.writer().flush(LAST_LINES));
            let _ = flushing.await;
        }
        result
    }
}

/// The longest time for which the end of the server waits for the last lines of the access log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Goes on serving for the time of the settings, or until the second request to shut down.
async fn serve_during_delay(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
    requests: &mut ShutdownRequests,
) {
    let delay = context.config.admin.shutdown_delay;
    if delay.is_zero() {
        return;
    }
    tracing::info!(
        "serving for another {delay:?}, until balancers have noticed (signal again to end)"
    );
    tokio::select! {
        biased;
        () = requests.has_next() => {}
        () = elapsed(Some(delay)) => {}
        never = accept::accept(context, listeners) => match never {},
    }
}

/// Watches the files of certificates, until the returned guard is dropped.
#[cfg(feature = "reload")]
fn watch(acceptor: Arc<Acceptor>) -> DropGuard {
    let token = CancellationToken::new();
    tokio::spawn(
        token
            .clone()
            .run_until_cancelled_owned(crate::tls::watch::watch(acceptor)),
    );
    token.drop_guard()
}
