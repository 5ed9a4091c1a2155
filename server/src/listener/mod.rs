//! Listeners, which the server binds or the program passes to it.

#[cfg(all(unix, feature = "cli"))]
mod handover;
#[cfg(unix)]
mod inherited;
#[cfg(unix)]
mod socket_owner;
#[cfg(unix)]
mod unix_socket;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

#[cfg(all(unix, feature = "cli"))]
pub(crate) use self::handover::PassedSocket;
#[cfg(all(unix, feature = "cli"))]
pub(crate) use self::unix_socket::FileOwnership;
#[cfg(unix)]
use self::unix_socket::SocketFile;
use crate::config::{BindAddress, Listen};
use crate::stream::Stream;

/// The idle time of a connection after which TCP keep-alive probes begin. Only they detect a client
/// that has lost its network in the middle of a request.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// An address that a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket. `None` for a socket without a path.
    #[cfg(unix)]
    Unix(Option<PathBuf>),
}

impl fmt::Display for ListenAddr {
    /// Writes `127.0.0.1:8000` or `unix:/run/app.sock`, for example.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            #[cfg(unix)]
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// A listener of the standard library or of Tokio, for TCP or, on Unix, for Unix sockets.
///
/// [`Server::listener`](crate::Server::listener) takes these.
pub trait IntoListener: sealed::Sealed {
    /// Returns the listener in the form that a server uses.
    ///
    /// # Errors
    ///
    /// When the operating system refuses to change the listener.
    #[doc(hidden)]
    fn into_listener(self) -> io::Result<Listener>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for std::net::TcpListener {}
    impl Sealed for tokio::net::TcpListener {}
    #[cfg(unix)]
    impl Sealed for std::os::unix::net::UnixListener {}
    #[cfg(unix)]
    impl Sealed for tokio::net::UnixListener {}
}

impl IntoListener for TcpListener {
    fn into_listener(self) -> io::Result<Listener> {
        self.set_nonblocking(true)?;
        // Accepted connections inherit the option.
        let keep_alive = TcpKeepalive::new().with_time(TCP_KEEP_ALIVE);
        SockRef::from(&self).set_tcp_keepalive(&keep_alive)?;
        Ok(Listener::Tcp(self))
    }
}

impl IntoListener for tokio::net::TcpListener {
    fn into_listener(self) -> io::Result<Listener> {
        self.into_std()?.into_listener()
    }
}

#[cfg(unix)]
impl IntoListener for UnixListener {
    fn into_listener(self) -> io::Result<Listener> {
        self.set_nonblocking(true)?;
        Ok(Listener::Unix(self, None))
    }
}

#[cfg(unix)]
impl IntoListener for tokio::net::UnixListener {
    fn into_listener(self) -> io::Result<Listener> {
        self.into_std()?.into_listener()
    }
}

/// Whether the connections of a listener are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Cleartext,
    /// TLS, if the server has a certificate.
    Tls,
}

/// A non-blocking listener that is not registered with a runtime.
#[derive(Debug)]
pub enum Listener {
    #[doc(hidden)]
    Tcp(TcpListener),
    /// A Unix socket, with its file if the server has created it.
    #[doc(hidden)]
    #[cfg(unix)]
    Unix(UnixListener, Option<SocketFile>),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// The address of the client; `None` for a Unix socket, as for `server`.
    pub(crate) client: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) security: Security,
}

impl Listener {
    /// Binds to an address. A name has a listener for each of its addresses, on the same port.
    pub(crate) fn bind(address: &BindAddress, settings: &Listen) -> io::Result<Vec<Self>> {
        match address {
            BindAddress::Tcp(host, port) => {
                let mut listeners = Vec::new();
                let mut unavailable = io::ErrorKind::AddrNotAvailable.into();
                let mut port = *port;
                for mut address in (host.as_str(), port).to_socket_addrs()? {
                    address.set_port(port);
                    match Self::bind_tcp(address, settings.backlog) {
                        Ok(listener) => {
                            port = match listener.local_addr()? {
                                ListenAddr::Tcp(address) => address.port(),
                                #[cfg(unix)]
                                ListenAddr::Unix(_) => port,
                            };
                            listeners.push(listener);
                        }
                        // A name may have an address of IPv6 that this machine has switched off.
                        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                            unavailable = error;
                        }
                        Err(error) => return Err(error),
                    }
                }
                match listeners.is_empty() {
                    true => Err(unavailable),
                    false => Ok(listeners),
                }
            }
            #[cfg(unix)]
            BindAddress::Unix(path) => {
                let (listener, file) = unix_socket::bind(path, settings)?;
                listener.set_nonblocking(true)?;
                Ok(vec![Self::Unix(listener, Some(file))])
            }
            #[cfg(unix)]
            BindAddress::Fd(number) => Ok(vec![inherited::listen_on(*number, settings.backlog)?]),
            #[cfg(not(unix))]
            BindAddress::Unix(_) | BindAddress::Fd(_) => {
                let reason = "this system has no Unix sockets and passes no descriptors on";
                Err(io::Error::new(io::ErrorKind::Unsupported, reason))
            }
        }
    }

    /// Binds to a TCP address. At most `backlog` connections wait to be accepted.
    fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // On Windows, the option would allow another process to take the address.
        if cfg!(not(windows)) {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from(socket).into_listener()
    }

    pub(crate) fn local_addr(&self) -> io::Result<ListenAddr> {
        Ok(match self {
            Self::Tcp(listener) => ListenAddr::Tcp(listener.local_addr()?),
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let address = listener.local_addr()?;
                ListenAddr::Unix(address.as_pathname().map(Into::into))
            }
        })
    }

    /// Accepts a connection that waits in the system's queue.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the queue is empty.
    pub(crate) fn accept_queued(&self, security: Security) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, client) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let stream = tokio::net::TcpStream::from_std(stream)?;
                Connection::tcp(stream, client, security)
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let stream = tokio::net::UnixStream::from_std(stream)?;
                Ok(Connection::unix(stream, security))
            }
        }
    }
}

/// A listener that is registered with the current runtime.
#[derive(Debug)]
pub(crate) struct AsyncListener {
    socket: AsyncSocket,
    pub(crate) security: Security,
}

#[derive(Debug)]
enum AsyncSocket {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, Option<SocketFile>),
}

impl AsyncListener {
    pub(crate) fn new(listener: Listener, security: Security) -> io::Result<Self> {
        let socket = match listener {
            Listener::Tcp(listener) => {
                AsyncSocket::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            #[cfg(unix)]
            Listener::Unix(listener, file) => {
                AsyncSocket::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        };
        Ok(Self { socket, security })
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match &self.socket {
            AsyncSocket::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                Connection::tcp(stream, client, self.security)
            }
            #[cfg(unix)]
            AsyncSocket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Connection::unix(stream, self.security))
            }
        }
    }

    pub(crate) fn into_listener(self) -> io::Result<Listener> {
        Ok(match self.socket {
            AsyncSocket::Tcp(listener) => Listener::Tcp(listener.into_std()?),
            #[cfg(unix)]
            AsyncSocket::Unix(listener, file) => Listener::Unix(listener.into_std()?, file),
        })
    }
}

impl Connection {
    fn tcp(
        stream: tokio::net::TcpStream,
        client: SocketAddr,
        security: Security,
    ) -> io::Result<Self> {
        // A connection without a local address has been closed by its client.
        let server = stream
            .local_addr()
            .map_err(|_| io::ErrorKind::ConnectionAborted)?;
        Ok(Self {
            client: Some(client),
            server: Some(server),
            stream: Stream::from(stream),
            security,
        })
    }

    #[cfg(unix)]
    fn unix(stream: tokio::net::UnixStream, security: Security) -> Self {
        Self {
            stream: Stream::from(stream),
            client: None,
            server: None,
            security,
        }
    }
}
