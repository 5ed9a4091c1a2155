//! TLS, by rustls: certificates and their reload, and the handshake of a connection.
//!
//! The cryptography is that of ring: it needs a C compiler and nothing else, and builds in a few
//! seconds.

mod acceptor;
mod certificate;
mod client_auth;
mod error;
mod files;
mod handshake;
mod ocsp;
mod self_signed;
#[cfg(feature = "reload")]
pub(crate) mod watch;

pub(crate) use self::acceptor::Acceptor;
pub use self::error::TlsError;
pub(crate) use self::handshake::{HandshakeError, accept, negotiated_protocol};
use crate::socket::Socket;

/// A connection after its handshake.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<Socket>;
