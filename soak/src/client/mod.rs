//! The clients of the scenarios.

pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod tls;
pub(crate) mod websocket;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, in cleartext or over TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
