//! The socket of a connection, as hyper reads and writes it.
//!
//! The socket does what hyper cannot do. When reading, it detects the version by the first bytes,
//! and misses no request that has arrived before a shutdown. When writing, it joins small pieces,
//! gathers the responses to pipelined requests, and holds back hyper's own response to a bad
//! request, so that [`Socket::take_rejection`] can replace it. It records in the [`Link`] what the
//! connection is doing, and closes the connection so that the client gets all output.

use std::future::Future;
use std::io::{self, IoSlice, Read as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate_drive::linger;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::link::Link;
use crate::stage::{Stage, Stages};
use crate::stream::Stream;

/// Gathered output is written at this size at the latest, in bytes.
const GATHER: usize = 16 * 1024;

/// Output up to this size is copied together, in bytes: the system takes longer to collect the few
/// pieces of a small response than it takes to copy them.
const SMALL: usize = 1024;

/// How long a client may take for the last output of hyper before its connection is closed.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a client that speaks HTTP/2 by prior knowledge sends first (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TokioIo<Stream>,
    link: Arc<Link>,
    stages: Arc<Stages>,
    /// The first bytes of the connection, read to detect the version. hyper has still to read the
    /// bytes from `start` to `end`.
    preface: [u8; HTTP2_PREFACE.len()],
    start: u8,
    end: u8,
    /// Gathered output. The part from `written` on is still to be written.
    output: Vec<u8>,
    written: usize,
    /// The position in `output` at which hyper's last write begins.
    last_write: usize,
    gathers: bool,
    /// Whether hyper has read all input: hyper then has no further request to respond to.
    has_read_all: bool,
}

impl Socket {
    pub(crate) fn new(stream: Stream, link: Arc<Link>, stages: Arc<Stages>) -> Self {
        Self {
            stream: TokioIo::new(stream),
            link,
            stages,
            preface: [0; HTTP2_PREFACE.len()],
            start: 0,
            end: 0,
            output: Vec::new(),
            written: 0,
            last_write: 0,
            gathers: true,
            has_read_all: false,
        }
    }

    /// Reads until it is known whether the client speaks HTTP/2 by prior knowledge. Returns `None`
    /// when the client goes away before that.
    pub(crate) async fn speaks_http2(&mut self) -> Option<bool> {
        loop {
            let end = usize::from(self.end);
            if self.preface[..end] != HTTP2_PREFACE[..end] {
                return Some(false);
            }
            if end == HTTP2_PREFACE.len() {
                // HTTP/2 gathers its frames itself, and its input is not always a request's head.
                self.gathers = false;
                self.link.set_multiplexed();
                self.link.set_has_input(false);
                return Some(true);
            }
            match self.stream.inner_mut().read(&mut self.preface[end..]).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.end += u8::try_from(read).expect("at most 24"),
            }
            self.link.set_has_input(true);
        }
    }

    /// Returns whether output of hyper is still to be written.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Removes hyper's own response to a bad request from the output, if that was hyper's last
    /// write. Returns false when the client has received a part of it.
    pub(crate) fn take_rejection(&mut self) -> bool {
        if !self.output[self.last_write..].starts_with(b"HTTP/1.1 4") {
            return true;
        }
        let is_in_time = self.written <= self.last_write;
        if is_in_time {
            self.output.truncate(self.last_write);
        }
        is_in_time
    }

    /// Writes the gathered output and then `last`, and closes the connection so that the client
    /// gets all of it. Closing both sides while the client is sending would destroy output that it
    /// has not read (RFC 9112, 9.6).
    pub(crate) async fn close(self, last: &[u8]) {
        let mut stream = self.stream.into_inner();
        let written = timeout(LAST_OUTPUT_TIMEOUT, async {
            stream.write_all(&self.output[self.written..]).await?;
            stream.write_all(last).await
        });
        if let Some(Ok(Ok(()))) = until_ending(&self.stages, written).await {
            linger(&mut stream, &self.stages).await;
        }
    }

    /// Resets the connection, so that the client cannot take the part of a response that it got for
    /// a whole one.
    pub(crate) fn reset(self) {
        // Without a connection there is nothing to reset.
        let _ = self
            .stream
            .inner()
            .as_socket()
            .set_linger(Some(Duration::ZERO));
    }

    /// Writes the gathered output, and returns the stream for a WebSocket. Returns `None` when the
    /// client is gone, or does not take the output in time, or when the server ends.
    pub(crate) async fn into_stream(self) -> Option<Stream> {
        let mut stream = self.stream.into_inner();
        let written = timeout(
            LAST_OUTPUT_TIMEOUT,
            stream.write_all(&self.output[self.written..]),
        );
        let written = until_ending(&self.stages, written).await;
        matches!(written, Some(Ok(Ok(())))).then_some(stream)
    }

    fn poll_write_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let stream = Pin::new(self.stream.inner_mut());
            match ready!(stream.poll_write(cx, &self.output[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.output.clear();
        self.written = 0;
        self.last_write = 0;
        self.link.set_writing(false);
        self.link.set_gathered(false);
        Poll::Ready(Ok(()))
    }

    /// Returns whether output can wait for more: between exchanges the next response may follow at
    /// once. If it does not, the connection's task has hyper flush again before the task yields.
    fn may_gather(&self) -> bool {
        self.gathers && !self.link.is_exchanging()
    }

    /// Reads from the system directly. The runtime would report input only after it has asked the
    /// system again, and during a shutdown a request that has arrived must not be missed.
    // Not inlined, so that its buffer is not on the stack of every read.
    #[inline(never)]
    fn read_directly(&self, buf: &mut ReadBufCursor<'_>) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        let limit = buf.remaining().min(bytes.len());
        let socket = self.stream.inner().as_socket();
        let read = (&*socket).read(&mut bytes[..limit])?;
        buf.put_slice(&bytes[..read]);
        Ok(read)
    }
}

/// Has a connection linger ([`linger::linger`]), at most until the stage [`Ending`](Stage::Ending).
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, stages: &Stages) {
    until_ending(stages, linger::linger(stream)).await;
}

/// Returns the output of `work`, unless the time for a shutdown is over before that.
async fn until_ending<T>(stages: &Stages, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = stages.reached(Stage::Ending) => None,
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // While an exchange runs, hyper reads only to notice a disconnect. The gathered output may
        // then be written together with the next response.
        if !this.output.is_empty() && this.may_gather() {
            ready!(this.poll_write_output(cx))?;
        }
        if this.start < this.end {
            let unread = &this.preface[usize::from(this.start)..usize::from(this.end)];
            let length = unread.len().min(buf.remaining());
            buf.put_slice(&unread[..length]);
            this.start += u8::try_from(length).expect("at most 24");
            this.has_read_all = false;
            return Poll::Ready(Ok(()));
        }
        if this.stages.now() != Stage::Serving
            && let Ok(read) = this.read_directly(&mut buf)
        {
            this.has_read_all = false;
            if read > 0 {
                this.link.set_has_input(this.gathers);
            }
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.has_read_all = read.is_pending();
        ready!(read)?;
        this.link.set_has_input(this.gathers);
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        this.link.output_begins();
        // A response that is written alone is not copied, unless it is small.
        let is_alone = this.output.is_empty() && this.has_read_all;
        if length <= SMALL || this.may_gather() && !is_alone && length <= GATHER {
            if this.output.len() + length > GATHER {
                ready!(this.poll_write_output(cx))?;
                this.link.set_writing(true);
            }
            this.link.set_gathered(false);
            this.last_write = this.output.len();
            for buf in bufs {
                this.output.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(length));
        }
        if !this.output.is_empty() {
            ready!(this.poll_write_output(cx))?;
            this.link.set_writing(true);
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_repeated = this.link.has_gathered();
        let is_last = this.has_read_all || is_repeated;
        if !this.output.is_empty() && this.may_gather() && !is_last {
            this.link.set_gathered(true);
            return Poll::Ready(Ok(()));
        }
        this.poll_write_output(cx)
    }

    /// Writes the gathered output, as hyper does with its own buffer. [`close`](Self::close) closes
    /// the connection.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_write_output(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lingering_ends_with_the_time_for_a_shutdown() {
        let (mut stream, _client_that_stays) = tokio::io::duplex(64);
        let stages = Stages::default();
        let start = Instant::now();
        tokio::join!(linger(&mut stream, &stages), async {
            tokio::task::yield_now().await;
            stages.advance(Stage::Ending);
        });
        // The clock is paused: it advances only when all tasks are idle.
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// A socket with output for a client that takes nothing.
    #[cfg(unix)]
    fn stalled(stages: &Arc<Stages>) -> (Socket, tokio::net::UnixStream) {
        use callgate::{AppError, BoxApp};

        let (stream, client) = tokio::net::UnixStream::pair().unwrap();
        while stream.try_write(&[0; 4096]).is_ok() {}
        let app = BoxApp::new(async |_, _, _| Err(AppError::Unsupported));
        let server = Arc::new(crate::context::ServerContext::new(
            app,
            crate::Config::default(),
        ));
        let link = Arc::new(Link::new(server, None, None));
        let mut socket = Socket::new(Stream::Unix(stream), link, stages.clone());
        socket.output = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        (socket, client)
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn an_upgrade_does_not_wait_for_ever_for_a_client_that_reads_nothing() {
        let (socket, _client) = stalled(&Arc::default());
        let start = Instant::now();
        let stream = timeout(10 * LAST_OUTPUT_TIMEOUT, socket.into_stream()).await;
        assert!(stream.expect("the upgrade waits for ever").is_none());
        assert!(start.elapsed() - LAST_OUTPUT_TIMEOUT <= Duration::from_millis(1));
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn an_upgrade_ends_with_the_time_for_a_shutdown() {
        let stages = Arc::<Stages>::default();
        let (socket, _client) = stalled(&stages);
        let start = Instant::now();
        let upgrade = timeout(10 * LAST_OUTPUT_TIMEOUT, socket.into_stream());
        let (stream, ()) = tokio::join!(upgrade, async {
            tokio::task::yield_now().await;
            stages.advance(Stage::Ending);
        });
        assert!(stream.expect("the upgrade waits for ever").is_none());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
