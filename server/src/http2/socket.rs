//! The socket of a connection, as hyper reads and writes it. The socket joins small pieces of output,
//! and records what passes.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use super::flood::{self, FloodGuard};
use super::load::Load;
use super::windows::{FrameReader, Window};
use crate::limit::Limit;

/// Joined output is written at this size at the latest, in octets.
const JOINED: usize = 16 * 1024;

/// Output up to this size is copied together, in octets: the system takes longer to collect the few
/// pieces of a small response than it takes to copy them.
const SMALL: usize = 1024;

#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    load: Arc<Load>,
    /// Input that was read to detect the version, and that hyper has still to read.
    read: Bytes,
    /// Joined output. The part from `written` on is still to be written.
    output: Vec<u8>,
    written: usize,
    /// Whether the system took no output at the last write.
    is_full: bool,
    frames_in: FrameReader,
    frames_out: FrameReader,
    flood: FloodGuard,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S, read: Bytes, load: Arc<Load>) -> Self {
        let rate = load.info.server.config.http2.max_control_frames;
        Self {
            flood: FloodGuard::new(rate),
            stream,
            load,
            read,
            output: Vec::new(),
            written: 0,
            is_full: false,
            frames_in: FrameReader::of_client(),
            frames_out: FrameReader::of_server(),
        }
    }

    fn poll_write_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            let result = Pin::new(&mut self.stream).poll_write(cx, rest);
            match ready!(self.record(result))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    let octets = &self.output[self.written..self.written + written];
                    self.load.record_output(&mut self.frames_out, octets);
                    self.written += written;
                }
            }
        }
        self.output.clear();
        self.written = 0;
        // A stream of TLS holds what it has encrypted.
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.record(result))?;
        self.load.set_writing(false);
        Poll::Ready(Ok(()))
    }

    /// Ends the connection of a client that sends a flood of frames, with GOAWAY if the socket takes it.
    #[cold]
    fn end_flood(&mut self, cx: &mut Context<'_>) -> io::Error {
        self.load
            .info
            .server
            .limits
            .reached(Limit::Http2ControlFrames);
        let mut ahead = self.frames_out.clone();
        ahead.read(&self.output[self.written..], &Window::new(), &Window::new());
        if ahead.is_between_frames() {
            let frame = flood::goaway(self.frames_in.last_stream());
            self.output.extend_from_slice(&frame);
            // A client that does not take its output gets no GOAWAY.
            let _ = self.poll_write_output(cx);
        }
        self.load.set_closed();
        io::Error::other("the client sends too many control frames (--http2-max-control-frames)")
    }

    /// Records the result of a write or of a flush.
    fn record<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &result {
            Poll::Ready(Ok(_)) if self.is_full => self.load.relieve(),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
            Poll::Ready(Err(_)) => self.load.set_closed(),
        }
        self.is_full = result.is_pending();
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.load.has_read_enough() {
            // The runtime looks for input of other connections before it polls this one again.
            return pin!(yield_now()).poll(cx).map(Ok);
        }
        let before = buf.filled().len();
        if this.read.is_empty() {
            let result = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
            if result.is_err() {
                this.load.set_closed();
            }
            result?;
        } else {
            let length = this.read.len().min(buf.remaining());
            buf.put_slice(&this.read[..length]);
            this.read.advance(length);
        }
        let octets = &buf.filled()[before..];
        this.load.record_input(&mut this.frames_in, octets);
        if this.flood.is_flooded(&this.frames_in, &this.frames_out) {
            return Poll::Ready(Err(this.end_flood(cx)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
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
            let written = ready!(this.record(result))?;
            let mut left = written;
            for buf in bufs {
                if left == 0 {
                    break;
                }
                let octets = &buf[..left.min(buf.len())];
                this.load.record_output(&mut this.frames_out, octets);
                left -= octets.len();
            }
            return Poll::Ready(Ok(written));
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
        this.load.set_closed();
        ready!(this.poll_write_output(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use callgate::BoxApp;

    use super::*;
    use crate::Config;
    use crate::connection::ConnectionInfo;
    use crate::context::ServerContext;
    use crate::test_app::never;

    /// A stream that takes all output and holds it, as TLS does.
    #[derive(Default)]
    struct Holding {
        taken: Vec<u8>,
        is_flushed: bool,
    }

    impl AsyncRead for Holding {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.taken.extend_from_slice(buf);
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
    fn output_waits_until_the_stream_below_is_flushed() {
        let server = Arc::new(ServerContext::new(BoxApp::new(never), Config::new()));
        let load = Arc::new(Load::new(ConnectionInfo::new(server, None, None)));
        let mut socket = Socket::new(Holding::default(), Bytes::new(), load.clone());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut socket).poll_write(&mut cx, b"x").is_ready());
        assert!(Pin::new(&mut socket).poll_flush(&mut cx).is_pending());
        assert_eq!(socket.stream.taken, b"x");
        assert!(load.is_writing());
        let unblocked = load.unblocked();
        socket.stream.is_flushed = true;
        assert!(Pin::new(&mut socket).poll_flush(&mut cx).is_ready());
        assert!(!load.is_writing());
        assert_eq!(load.unblocked(), unblocked + 1);
        assert_eq!(socket.stream.taken, b"x");
    }
}
