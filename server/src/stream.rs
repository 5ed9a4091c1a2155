//! The byte stream of a connection: a socket, or TLS over it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use callgate_drive::FileBody;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Cleartext(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl<T: Into<Socket>> From<T> for Stream {
    fn from(socket: T) -> Self {
        Self::Cleartext(socket.into())
    }
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Cleartext(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Cleartext(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    pub(crate) fn is_secured(&self) -> bool {
        !matches!(self, Self::Cleartext(_))
    }

    /// Disables Nagle's algorithm, so that each write is sent at once.
    pub(crate) fn set_nodelay(&self) {
        self.socket().set_nodelay();
    }

    /// Returns whether the peer has closed or lost its connection, as far as the system knows. The
    /// system knows it even if there is unread input.
    pub(crate) fn is_read_closed(&self) -> bool {
        self.socket().is_read_closed()
    }

    /// Polls for input without reading it. A read may still find none.
    pub(crate) fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Cleartext(socket) => socket.poll_read_ready(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                match session.process_new_packets() {
                    Ok(state)
                        if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() =>
                    {
                        socket.poll_read_ready(cx)
                    }
                    // The read returns what has been decrypted, the end or the error.
                    _ => Poll::Ready(Ok(())),
                }
            }
        }
    }

    /// Returns ready once the peer has closed or lost its connection, even if there is unread input.
    pub(crate) fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket_mut().poll_hang_up(cx)
    }

    /// Returns the error of a connection that is lost, once.
    pub(crate) fn take_error(&self) -> io::Result<()> {
        self.socket().take_error()
    }

    /// Has the next read ask the system for input. The runtime reports input only after it has asked the
    /// system again.
    pub(crate) fn read_directly(&mut self) {
        self.socket_mut().read_directly();
    }

    /// Returns whether the system can send files by itself. Over TLS they are read and encrypted.
    pub(crate) fn can_send_files(&self) -> bool {
        !self.is_secured()
    }

    /// Writes octets behind which others follow at once, so that the system sends both together.
    pub(crate) fn poll_write_more(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Cleartext(socket) => socket.poll_write_more(cx, pieces),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    /// Sends the next octets of a file, after [`Self::can_send_files`] and [`FileBody::can_send`] have
    /// returned true.
    pub(crate) fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &mut FileBody,
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_send_file(cx, file)
    }

    /// Returns the socket itself.
    pub(crate) fn as_socket(&self) -> SockRef<'_> {
        self.socket().as_socket()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Cleartext(socket) => Pin::new(socket).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Cleartext(socket) => Pin::new(socket).poll_write(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Cleartext(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writes what TLS has encrypted. A socket buffers nothing.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Cleartext(socket) => Pin::new(socket).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Closes the sending side. Over TLS, the peer is told so first (`close_notify`).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Cleartext(socket) => Pin::new(socket).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
