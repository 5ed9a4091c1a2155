//! Building a server. [`run`] is what it does then.

mod run;

use std::future::{Future, pending};
use std::io;
#[cfg(all(unix, feature = "cli"))]
use std::iter;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use callgate::{App, BoxApp};

use crate::config::{BindAddress, Config};
use crate::error::ServeError;
#[cfg(all(unix, feature = "cli"))]
use crate::listener::PassedSocket;
use crate::listener::{IntoListener, ListenAddr, Listener, Security};
use crate::monitoring::Monitoring;
use crate::retirement::OnLimit;
use crate::shutdown::ServerHandle;
use crate::signals::SignalThread;
use crate::succession::Succession;

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
    pub(crate) config: Config,
    listeners: Vec<(Listener, Security)>,
    addresses: Vec<ListenAddr>,
    /// The address of each listener in the settings, and whether it is for cleartext; empty for a
    /// listener that was handed in.
    origins: Vec<String>,
    /// The admin listener; more than one for a name with several addresses.
    admin_listeners: Vec<Listener>,
    handle: ServerHandle,
    monitoring: Monitoring,
    /// What the server shares with its predecessor and its successor, if it can be replaced.
    pub(crate) succession: Option<Arc<Succession>>,
    on_limit: Option<OnLimit>,
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
            monitoring: Monitoring::new(),
            succession: None,
            on_limit: None,
        }
    }

    /// Sets the configuration. [`bind`](Self::bind) comes after this.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets what the application adds to the health checks and to the metrics of the server.
    pub fn monitoring(mut self, monitoring: Monitoring) -> Self {
        self.monitoring = monitoring;
        self
    }

    /// Has `call` called when the server reaches the limit on its [requests](Config::limit_max_requests) or on its
    /// [age](Config::limit_max_age). The server goes on then, until code outside has replaced it. Without this, it shuts down.
    ///
    /// ```no_run
    /// # async fn hello(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> { Ok(()) }
    /// use callgate_server::{Config, Server};
    ///
    /// let config = Config::new().limit_max_requests(Some(100_000));
    /// let server = Server::new(hello).config(config).on_limit(|| eprintln!("start another process, please"));
    /// ```
    pub fn on_limit(mut self, call: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_limit = Some(OnLimit::new(call));
        self
    }

    /// Binds to the addresses of the configuration, that of the admin listener included.
    ///
    /// Looking up the addresses of a name blocks the thread. A Unix socket is removed when the server
    /// no longer listens on it.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] when an address cannot be listened on, and [`ServeError::Conflict`] when the
    /// admin listener has the address for clients.
    pub fn bind(mut self) -> Result<Self, ServeError> {
        self.config.admin.check_port(&self.config.listen)?;
        self.bind_all(self.config.listen.addresses())?;
        self.bind_admin()
    }

    /// Binds to `addresses` and to those for cleartext.
    fn bind_all(&mut self, addresses: Vec<BindAddress>) -> Result<(), ServeError> {
        let insecure = self.config.listen.insecure_bind.clone().into_iter();
        let insecure = insecure.map(|address| (address, Security::Cleartext));
        let addresses = addresses.into_iter().map(|it| (it, Security::Tls));
        let mut origins = Vec::new();
        for (address, security) in addresses.chain(insecure) {
            let (name, origin) = match security {
                Security::Tls => ("bind", address.to_string()),
                Security::Cleartext => ("insecure_bind", format!("{address} (cleartext)")),
            };
            let repetition = origins.iter().filter(|it| **it == origin).count();
            origins.push(origin.clone());
            // An address with port 0 that is given twice has two sockets.
            let origin = match repetition {
                0 => origin,
                _ => format!("{origin} (repetition {repetition})"),
            };
            self.bind_to(&address, security, &origin)
                .map_err(|reason| ServeError::Listen {
                    name,
                    address,
                    reason,
                })?;
        }
        Ok(())
    }

    fn bind_to(
        &mut self,
        address: &BindAddress,
        security: Security,
        origin: &str,
    ) -> io::Result<()> {
        for listener in self.listeners_on(address, origin)? {
            self.add(listener, security, origin.to_owned())?;
        }
        Ok(())
    }

    /// Returns the listeners on an address: those of the predecessor with this origin, or new ones.
    fn listeners_on(&self, address: &BindAddress, origin: &str) -> io::Result<Vec<Listener>> {
        if let Some(succession) = &self.succession {
            let inherited = succession.take(origin);
            if !inherited.is_empty() {
                return Ok(inherited);
            }
        }
        Listener::bind(address, &self.config.listen)
    }

    pub(crate) fn add(
        &mut self,
        listener: Listener,
        security: Security,
        origin: String,
    ) -> io::Result<()> {
        self.addresses.push(listener.local_addr()?);
        self.listeners.push((listener, security));
        self.origins.push(origin);
        Ok(())
    }

    /// Puts `wrappers` around the application, each around those before it.
    #[cfg(feature = "cli")]
    pub(crate) fn wrapped_in(
        mut self,
        wrappers: &mut [Box<dyn callgate_cli::AppWrapper>],
        start: callgate_cli::Start,
    ) -> Result<Self, ServeError> {
        for wrapper in wrappers {
            self.app = wrapper.wrap(self.app, start).map_err(ServeError::Wrapper)?;
        }
        Ok(self)
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
        let admin = self.config.admin.bind.as_ref().map(admin_origin);
        let admin = (self.admin_listeners.iter()).zip(iter::repeat(admin.as_deref().unwrap_or("")));
        listeners
            .map(|((listener, _), origin)| (listener, origin.as_str()))
            .chain(admin)
            .map(|(listener, origin)| PassedSocket::new(listener, origin))
            .collect::<io::Result<_>>()
            .map_err(ServeError::Listener)
    }

    /// Adds a listener that exists: a `TcpListener` of the standard library or of Tokio, or, on Unix, a
    /// `UnixListener` of either. Its connections speak TLS if there is a certificate.
    ///
    /// The server makes the listener non-blocking and enables TCP keep-alive. A connection of a
    /// Unix socket has no addresses: `client` and `server` are `None` in its scopes.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listener`] when the operating system refuses one of these.
    pub fn listener(mut self, listener: impl IntoListener) -> Result<Self, ServeError> {
        let listener = listener.into_listener().map_err(ServeError::Listener)?;
        self.add(listener, Security::Tls, String::new())
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
        let signals = SignalThread::start(server.handle(), None, || Ok(pending()))
            .await
            .map_err(ServeError::Signals)?;
        let result = server.run().await;
        signals.end();
        result
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

    /// Binds to the addresses of the configuration, but not to its host and port.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn bind_given(mut self) -> Result<Self, ServeError> {
        self.bind_all(self.config.listen.given_addresses())?;
        Ok(self)
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
            .listeners_on(&address, &admin_origin(&address))
            .map_err(|reason| ServeError::Listen {
                name: "admin",
                address,
                reason,
            })?;
        Ok(self)
    }
}

/// Returns the origin of admin listeners. An admin listener does not become one for clients, even if both
/// are bound to any free port.
fn admin_origin(address: &BindAddress) -> String {
    format!("admin {address}")
}
