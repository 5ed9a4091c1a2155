//! The byte stream of a connection: TCP, or a Unix socket where the platform has them.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Disables Nagle's algorithm, so that each write is sent at once.
    pub(crate) fn set_nodelay(&self) {
        match self {
            Self::Tcp(stream) => {
                // Without the option, small responses are sent later.
                let _ = stream.set_nodelay(true);
            }
            #[cfg(unix)]
            Self::Unix(_) => {}
        }
    }

    /// Returns whether the peer has closed or lost its connection, as far as the system knows. The
    /// system knows it even if there is unread input.
    pub(crate) fn is_read_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
            #[cfg(unix)]
            Self::Unix(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
        };
        match ready {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// Polls for input without reading it.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Returns ready once the peer has closed or lost its connection, even if there is unread input.
    ///
    /// After this call, the runtime does not know of the unread input. The next read must ask the
    /// system.
    pub(crate) fn poll_hang_up(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.is_read_closed() {
                return Poll::Ready(());
            }
            match self.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // The runtime reports the next change only if it has forgotten this input.
                Poll::Ready(Ok(())) => self.forget_input(),
            }
        }
    }

    /// Returns the error of a connection that is lost, once.
    pub(crate) fn take_error(&self) -> io::Result<()> {
        match self.as_socket().take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn forget_input(&self) {
        let would_block = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        // The error is the one above, which makes the runtime forget the input.
        let _ = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, would_block),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_io(Interest::READABLE, would_block),
        };
    }

    /// Returns the socket itself.
    pub(crate) fn as_socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
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
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is buffered here, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
