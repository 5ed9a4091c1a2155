//! The socket of a connection, as hyper reads and writes it. The socket joins small pieces of output.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite as _;

use super::load::Load;
use crate::stream::Stream;

/// Joined output is written at this size at the latest, in octets.
const JOINED: usize = 16 * 1024;

/// Output up to this size is copied together, in octets: the system takes longer to collect the few
/// pieces of a small response than it takes to copy them.
const SMALL: usize = 1024;

#[derive(Debug)]
pub(super) struct Socket {
    stream: TokioIo<Stream>,
    load: Arc<Load>,
    /// Input that was read to detect the version, and that hyper has still to read.
    read: Bytes,
    /// Joined output. The part from `written` on is still to be written.
    output: Vec<u8>,
    written: usize,
    /// Whether the system took no output at the last write.
    is_full: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, read: Bytes, load: Arc<Load>) -> Self {
        Self {
            stream: TokioIo::new(stream),
            load,
            read,
            output: Vec::new(),
            written: 0,
            is_full: false,
        }
    }

    fn poll_write_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let stream = Pin::new(self.stream.inner_mut());
            let result = stream.poll_write(cx, &self.output[self.written..]);
            match ready!(self.record(result))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.output.clear();
        self.written = 0;
        self.load.set_writing(false);
        Poll::Ready(Ok(()))
    }

    /// Records the result of a write.
    fn record(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(written)) => self.load.add_written(*written, self.is_full),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        self.is_full = result.is_pending();
        result
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let length = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..length]);
        this.read.advance(length);
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
        this.load.set_writing(true);
        if length > SMALL || this.output.len() + length > JOINED {
            ready!(this.poll_write_output(cx))?;
            this.load.set_writing(true);
        }
        if length > SMALL {
            let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
            return this.record(result);
        }
        for buf in bufs {
            this.output.extend_from_slice(buf);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_write_output(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.load.set_shut_down();
        ready!(this.poll_write_output(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
