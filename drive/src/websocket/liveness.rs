//! Detects whether the client of a connection is there.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the peer is connected, as far as a transport knows without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// The peer is connected: the transport would have noticed the end of the connection.
    Connected,
    /// The peer has closed its sending side, or the connection is lost.
    Disconnected,
    /// The transport cannot know without reading.
    Unknown,
}

/// An activity of the client, which shows that it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// The client has sent something.
    Sent,
    /// The client has made room for output that was blocked.
    MadeRoom,
}

/// A stream that records the activity of the client.
///
/// A successful write does not show that the client is connected, because the system buffers output
/// for a client that is gone. A successful write after a blocked one does, as does a flush. A stream of
/// TLS takes writes also while its output is blocked, so that only its flush shows room.
pub(super) struct Observed<S> {
    stream: S,
    peer_state: fn(&S) -> PeerState,
    has_sent: bool,
    has_made_room: bool,
    is_write_blocked: bool,
    is_flush_blocked: bool,
    /// Octets read since the last reset of this counter.
    octets_read: usize,
}

impl<S> Observed<S> {
    pub(super) fn new(stream: S, peer_state: fn(&S) -> PeerState) -> Self {
        Self {
            stream,
            peer_state,
            has_sent: false,
            has_made_room: false,
            is_write_blocked: false,
            is_flush_blocked: false,
            octets_read: 0,
        }
    }

    pub(super) fn peer_state(&self) -> PeerState {
        (self.peer_state)(&self.stream)
    }

    /// Returns whether output waits for the client to make room.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_write_blocked || self.is_flush_blocked
    }

    pub(super) fn octets_read(&self) -> usize {
        self.octets_read
    }

    pub(super) fn reset_octets_read(&mut self) {
        self.octets_read = 0;
    }

    /// Records that input of the client has been taken from the read buffer.
    pub(super) fn record_sent(&mut self) {
        self.has_sent = true;
    }

    /// Returns the activity of the client since the last call, if there was any.
    ///
    /// Input does not count while output is blocked: the application, which waits for that output,
    /// would otherwise wait for ever.
    pub(super) fn take_activity(&mut self) -> Option<Activity> {
        let has_sent = std::mem::take(&mut self.has_sent);
        if std::mem::take(&mut self.has_made_room) {
            return Some(Activity::MadeRoom);
        }
        (has_sent && !self.is_blocked()).then_some(Activity::Sent)
    }

    fn record_write(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.is_write_blocked = true,
            Poll::Ready(Ok(_)) => self.has_made_room |= std::mem::take(&mut self.is_write_blocked),
            Poll::Ready(Err(_)) => {}
        }
    }

    fn record_flush(&mut self, flushed: &Poll<io::Result<()>>) {
        match flushed {
            Poll::Pending => self.is_flush_blocked = true,
            Poll::Ready(Ok(())) => self.has_made_room |= std::mem::take(&mut self.is_flush_blocked),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl<S> fmt::Debug for Observed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("is_blocked", &self.is_blocked())
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.has_sent |= read > 0;
        self.octets_read = self.octets_read.saturating_add(read);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.record_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.record_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.record_flush(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A stream that holds all output, as TLS does, and whose flush is blocked.
    #[derive(Default)]
    struct Holding {
        is_flushed: bool,
    }

    impl AsyncWrite for Holding {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.is_flushed {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn output_is_blocked_until_the_stream_is_flushed() {
        let mut stream = Observed::new(Holding::default(), |_| PeerState::Unknown);
        let mut cx = Context::from_waker(Waker::noop());
        let poll_flush = |stream: &mut Observed<Holding>| {
            Pin::new(stream).poll_flush(&mut Context::from_waker(Waker::noop()))
        };
        assert!(poll_flush(&mut stream).is_pending());
        assert!(stream.is_blocked());
        // Input does not count while the output is blocked, and a write shows no room.
        stream.record_sent();
        assert!(Pin::new(&mut stream).poll_write(&mut cx, b"x").is_ready());
        assert!(stream.is_blocked());
        assert_eq!(stream.take_activity(), None);
        stream.stream.is_flushed = true;
        assert!(poll_flush(&mut stream).is_ready());
        assert!(!stream.is_blocked());
        assert_eq!(stream.take_activity(), Some(Activity::MadeRoom));
    }
}
