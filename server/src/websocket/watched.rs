//! What shows that the client of a WebSocket is still there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that notes what the client sends and takes.
///
/// Output that the system takes shows nothing, as it takes some for a client that is gone. What it
/// takes after it took none does: the client has made room.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    has_sent: bool,
    has_taken: bool,
    is_blocked: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            has_sent: false,
            has_taken: false,
            is_blocked: false,
        }
    }

    /// Whether the client does not take what is to be sent.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether the client has shown since the last look that it is there. One that does not take
    /// what it is sent may send what it likes: that alone would keep whoever sends to it waiting.
    pub(super) fn take_sign(&mut self) -> Option<Sign> {
        let has_sent = std::mem::take(&mut self.has_sent);
        if std::mem::take(&mut self.has_taken) {
            return Some(Sign::Taken);
        }
        (has_sent && !self.is_blocked).then_some(Sign::Sent)
    }

    fn note(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.is_blocked = true,
            Poll::Ready(Ok(_)) => self.has_taken |= std::mem::take(&mut self.is_blocked),
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// How a client shows that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It has sent something.
    Sent,
    /// It has taken something of what waited to be sent.
    Taken,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.has_sent |= buf.filled().len() > before;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
