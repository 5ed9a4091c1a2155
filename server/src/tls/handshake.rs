//! The handshake of a connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use callgate::TlsInfo;
use tokio_rustls::LazyConfigAcceptor;

use super::TlsStream;
use super::acceptor::Acceptor;
use crate::socket::Socket;

/// The most output that a connection has encrypted and the system has not taken, in octets.
const BUFFER: usize = 64 * 1024;

/// Why a connection is not secured.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The client sends HTTP in cleartext.
    Cleartext(Socket),
    Failed(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Returns the protocol that a connection has negotiated (ALPN, RFC 7301).
pub(crate) fn negotiated_protocol(stream: &TlsStream) -> Option<&'static str> {
    match stream.get_ref().1.alpn_protocol()? {
        b"h2" => Some("h2"),
        b"http/1.1" => Some("http/1.1"),
        _ => None,
    }
}

/// Secures a connection. The caller limits the time.
pub(crate) async fn accept(
    acceptor: &Acceptor,
    mut socket: Socket,
) -> Result<(TlsStream, Arc<TlsInfo>), HandshakeError> {
    let first = poll_fn(|cx| socket.poll_peek(cx)).await?;
    // A handshake begins with 22 (RFC 8446, 5.1), and a request with a method.
    if first.is_some_and(|octet| octet.is_ascii_alphabetic()) {
        return Err(HandshakeError::Cleartext(socket));
    }
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
    let identity = acceptor.current();
    let (index, config) = identity.choose(&hello.client_hello());
    let stream = hello
        .into_stream_with(config, |session| session.set_buffer_limit(Some(BUFFER)))
        .await?;
    let info = identity.info(index, stream.get_ref().1);
    Ok((stream, info))
}
