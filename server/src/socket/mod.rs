//! The socket of a connection: TCP, or a Unix socket where the platform has them.

mod connected;
mod outbox;
mod system;
#[cfg(test)]
mod tests;

use std::future::Future as _;
use std::io::{self, IoSlice, Read as _};
#[cfg(feature = "tls")]
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use callgate_drive::{FileBody, turn};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use self::connected::{Connected, ReadHalf, WriteHalf};
use self::outbox::Outbox;
#[cfg(test)]
use crate::faults::{Direction, Faults};

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    /// Set while the runtime may not know of input that has arrived. Reads then ask the system.
    must_read_directly: bool,
    /// What a test does to the input and the output.
    #[cfg(test)]
    faults: Option<Arc<Faults>>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Gathering(Gathering),
}

/// The socket of a thread that works in turns.
#[derive(Debug)]
struct Gathering {
    input: ReadHalf,
    output: Arc<Outbox>,
}

impl Gathering {
    fn new(input: ReadHalf, output: WriteHalf) -> Self {
        Self {
            input,
            output: Outbox::new(output),
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.output.close();
    }
}

impl Kind {
    fn connected(&self) -> Connected<'_> {
        match self {
            Self::Tcp(stream) => Connected::Tcp(stream),
            #[cfg(unix)]
            Self::Unix(stream) => Connected::Unix(stream),
            Self::Gathering(gathering) => gathering.input.connected(),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::new(match turn::is_used() {
            false => Kind::Tcp(stream),
            true => {
                let (input, output) = stream.into_split();
                let (input, output) = (ReadHalf::Tcp(input), WriteHalf::Tcp(output));
                Kind::Gathering(Gathering::new(input, output))
            }
        })
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::new(match turn::is_used() {
            false => Kind::Unix(stream),
            true => {
                let (input, output) = stream.into_split();
                let (input, output) = (ReadHalf::Unix(input), WriteHalf::Unix(output));
                Kind::Gathering(Gathering::new(input, output))
            }
        })
    }
}

impl Socket {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            must_read_directly: false,
            #[cfg(test)]
            faults: None,
        }
    }

    /// Gives the socket the faults of a test.
    #[cfg(test)]
    pub(crate) fn with_faults(mut self, faults: Arc<Faults>) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Disables Nagle's algorithm, so that each write is sent at once.
    pub(crate) fn set_nodelay(&self) {
        match self.kind.connected() {
            Connected::Tcp(stream) => {
                // Without the option, small responses are sent later.
                let _ = stream.set_nodelay(true);
            }
            #[cfg(unix)]
            Connected::Unix(_) => {}
        }
    }

    /// Returns whether the peer has closed or lost its connection, as far as the system knows. The
    /// system knows it even if there is unread input.
    pub(crate) fn is_read_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = match self.kind.connected() {
            Connected::Tcp(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
            #[cfg(unix)]
            Connected::Unix(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
        };
        match ready {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// Polls for input without reading it. A read may still find none.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(test)]
        if let Some(faults) = &self.faults
            && ready!(faults.poll(Direction::Input, cx))? == 0
        {
            return Poll::Ready(Ok(()));
        }
        match self.must_read_directly {
            true => Poll::Ready(Ok(())),
            false => self.poll_runtime(cx),
        }
    }

    /// Polls for input that the runtime knows of.
    fn poll_runtime(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.kind.connected() {
            Connected::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Connected::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Polls for the first octet of the input without taking it. Returns `None` at the end of the input,
    /// and for a Unix socket.
    #[cfg(feature = "tls")]
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        match self.kind.connected() {
            Connected::Tcp(stream) => {
                let mut octet = [0];
                let mut buf = ReadBuf::new(&mut octet);
                let peeked = ready!(stream.poll_peek(cx, &mut buf));
                Poll::Ready(peeked.map(|_| buf.filled().first().copied()))
            }
            #[cfg(unix)]
            Connected::Unix(_) => Poll::Ready(Ok(None)),
        }
    }

    /// Returns whether octets have arrived that have not been read. Asks the system, and not the runtime.
    #[cfg(feature = "tls")]
    pub(crate) fn has_input(&self) -> bool {
        matches!(self.peek(), Ok(1..))
    }

    /// Returns ready once there is input, or the end of the input. The runtime may report input before
    /// there is any.
    #[cfg(feature = "tls")]
    pub(crate) fn poll_input(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let is_failed = ready!(self.poll_runtime(cx)).is_err();
            match self.peek() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_failed => {
                    self.forget_input();
                }
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Returns 1 if there is input, or 0 at the end of the input.
    #[cfg(feature = "tls")]
    fn peek(&self) -> io::Result<usize> {
        self.as_socket().peek(&mut [MaybeUninit::uninit()])
    }

    /// Returns ready once the peer has closed or lost its connection, even if there is unread input.
    pub(crate) fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.is_read_closed() {
                return Poll::Ready(());
            }
            match self.poll_runtime(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // The runtime reports the next change only if it has forgotten this input.
                Poll::Ready(Ok(())) => {
                    self.must_read_directly = true;
                    self.forget_input();
                }
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

    /// Has the next read ask the system for input. The runtime reports input only after it has asked the
    /// system again.
    pub(crate) fn read_directly(&mut self) {
        self.must_read_directly = true;
    }

    /// Writes octets behind which others follow at once, so that the system sends both together.
    pub(crate) fn poll_write_more(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        #[cfg(test)]
        if let Some(faults) = &self.faults {
            let most = ready!(faults.poll(Direction::Output, cx))?;
            // The system would hold back octets before a stall.
            let sent = self.poll_output(cx, |socket| socket.send(first(pieces, most)));
            return sent.map_ok(|sent| faults.passed_on(Direction::Output, sent));
        }
        if let Some(length) = ready!(self.poll_gather(cx, pieces))? {
            return Poll::Ready(Ok(length));
        }
        self.poll_output(cx, |socket| system::send_more(socket, pieces))
    }

    /// Sends the next octets of a file, after [`FileBody::can_send`] has returned true.
    pub(crate) fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &mut FileBody,
    ) -> Poll<io::Result<usize>> {
        if let Kind::Gathering(gathering) = &self.kind {
            ready!(gathering.output.poll_sent(cx))?;
        }
        self.poll_output(cx, |socket| system::send_file(socket, file))
    }

    /// Gathers the octets of `pieces`, and returns their number. Returns `None` if they are to be sent now.
    fn poll_gather(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<Option<usize>>> {
        let Kind::Gathering(gathering) = &self.kind else {
            return Poll::Ready(Ok(None));
        };
        let is_taken = ready!(gathering.output.poll_take(cx, pieces))?;
        let length = || pieces.iter().map(|piece| piece.len()).sum();
        Poll::Ready(Ok(is_taken.then(length)))
    }

    /// Runs `send` once the system takes output.
    fn poll_output(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        #[cfg(test)]
        if let Some(faults) = &self.faults {
            ready!(faults.poll(Direction::Output, cx))?;
        }
        loop {
            let sent = match self.kind.connected() {
                Connected::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || send(&SockRef::from(stream)))
                }
                #[cfg(unix)]
                Connected::Unix(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || send(&SockRef::from(stream)))
                }
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn forget_input(&self) {
        let would_block = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        // The error is the one above, which makes the runtime forget the input.
        let _ = match self.kind.connected() {
            Connected::Tcp(stream) => stream.try_io(Interest::READABLE, would_block),
            #[cfg(unix)]
            Connected::Unix(stream) => stream.try_io(Interest::READABLE, would_block),
        };
    }

    /// Returns the socket itself.
    pub(crate) fn as_socket(&self) -> SockRef<'_> {
        match self.kind.connected() {
            Connected::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Connected::Unix(stream) => SockRef::from(stream),
        }
    }
}

/// Returns the first octets of `pieces`, of one piece and at most this many.
#[cfg(test)]
fn first<'a>(pieces: &'a [IoSlice<'_>], most: usize) -> &'a [u8] {
    let piece = pieces.iter().find(|piece| !piece.is_empty());
    let piece = piece.map_or(&[][..], |piece| piece);
    &piece[..piece.len().min(most)]
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        #[cfg(test)]
        if let Some(faults) = this.faults.clone() {
            let most = ready!(faults.poll(Direction::Input, cx))?;
            let mut octets = vec![0; most.min(buf.remaining())];
            let mut part = ReadBuf::new(&mut octets);
            // The faults are applied once.
            this.faults = None;
            let read = match most {
                0 => Poll::Ready(Ok(())),
                _ => Pin::new(&mut *this).poll_read(cx, &mut part),
            };
            this.faults = Some(faults.clone());
            buf.put_slice(part.filled());
            faults.passed_on(Direction::Input, part.filled().len());
            return read;
        }
        if this.must_read_directly {
            match (&*this.as_socket()).read(buf.initialize_unfilled()) {
                Ok(length) => {
                    buf.advance(length);
                    return Poll::Ready(Ok(()));
                }
                // From here on, the runtime knows of all input.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.must_read_directly = false;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Gathering(gathering) => match &mut gathering.input {
                ReadHalf::Tcp(half) => Pin::new(half).poll_read(cx, buf),
                #[cfg(unix)]
                ReadHalf::Unix(half) => Pin::new(half).poll_read(cx, buf),
            },
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        #[cfg(test)]
        if self.faults.is_some() {
            return self.poll_write_vectored(cx, &[IoSlice::new(buf)]);
        }
        let this = self.get_mut();
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Gathering(_) => Pin::new(this).poll_write_vectored(cx, &[IoSlice::new(buf)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        #[cfg(test)]
        if self.faults.is_some() {
            return self.poll_write_more(cx, bufs);
        }
        let this = self.get_mut();
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Gathering(_) => match ready!(this.poll_gather(cx, bufs))? {
                Some(length) => Poll::Ready(Ok(length)),
                None => this.poll_output(cx, |socket| socket.send_vectored(bufs)),
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What is gathered is sent at the end of the turn, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Gathering(gathering) => {
                ready!(gathering.output.poll_sent(cx))?;
                Poll::Ready(match this.as_socket().shutdown(Shutdown::Write) {
                    // The peer has closed the connection already.
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                    result => result,
                })
            }
        }
    }
}
