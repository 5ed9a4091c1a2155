//! One exchange, as the thread of a blocking function sees it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::pin;

use bytes::Bytes;
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, SendError, SendEvent,
    Sender,
};
use futures_util::future::{Either, select};
use http::Response;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::body::{Body, Kind};

/// How much of a reader is sent at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Waits, on a thread that may, for what happens elsewhere.
pub(super) struct Waiter {
    pub(super) runtime: Handle,
    /// Its sender is dropped with the future of the call.
    pub(super) call: watch::Receiver<()>,
}

impl Waiter {
    /// None when the call's future has been dropped, as its grace period or the server is over.
    fn wait<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let dropped = pin!(self.call.changed());
        match self.runtime.block_on(select(pin!(future), dropped)) {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    fn send(&mut self, sender: &Sender, event: impl Into<SendEvent>) -> Result<(), SendError> {
        let sent = self.wait(sender.send(event));
        sent.unwrap_or(Err(SendError::Disconnected))
    }
}

/// The content of the request. Nothing is read ahead.
pub(super) struct Reader<'a> {
    pub(super) waiter: &'a mut Waiter,
    pub(super) receiver: Receiver,
    current: Bytes,
    is_whole: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(waiter: &'a mut Waiter, receiver: Receiver) -> Self {
        Self {
            waiter,
            receiver,
            current: Bytes::new(),
            is_whole: false,
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_whole && !buffer.is_empty() {
            match self.waiter.wait(self.receiver.receive()) {
                Some(ReceiveEvent::HttpRequestBody(request)) => {
                    self.current = request.body;
                    self.is_whole = !request.more_body;
                }
                Some(ReceiveEvent::HttpDisconnect) | None => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, Gone));
                }
                Some(_) => {}
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// Sends the response, and reads or runs its content meanwhile.
pub(super) fn send(
    waiter: &mut Waiter,
    sender: &Sender,
    response: Response<Body>,
) -> Result<(), AppError> {
    let (parts, body) = response.into_parts();
    let mut start = HttpResponseStart::new(parts.status);
    start.headers = parts.headers;
    waiter.send(sender, start)?;
    let mut writer = Writer {
        waiter,
        sender,
        failed: None,
    };
    let written = match body.0 {
        Kind::Empty => return writer.end(Bytes::new()),
        Kind::Whole(content) => return writer.end(content),
        Kind::Read(mut reader) => writer.copy(&mut *reader),
        Kind::Parts(mut parts) => parts.try_for_each(|part| writer.part(part?)),
        Kind::Write(write) => write(&mut writer),
    };
    match (writer.failed.take(), written) {
        // Whatever was made of it.
        (Some(failed), _) => Err(failed.into()),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => writer.end(Bytes::new()),
    }
}

/// The content of the response. Each part waits until the transport has taken it.
struct Writer<'a> {
    waiter: &'a mut Waiter,
    sender: &'a Sender,
    /// Why the client does not get the rest.
    failed: Option<SendError>,
}

impl Writer<'_> {
    fn part(&mut self, part: Bytes) -> io::Result<()> {
        let part = HttpResponseBody::part(part);
        self.waiter.send(self.sender, part).map_err(|error| {
            self.failed = Some(error.clone());
            match error {
                SendError::Disconnected => io::Error::new(io::ErrorKind::BrokenPipe, Gone),
                error => io::Error::other(error),
            }
        })
    }

    fn copy(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.part(Bytes::copy_from_slice(&buffer[..length]))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn end(self, content: Bytes) -> Result<(), AppError> {
        let last = HttpResponseBody::last(content);
        self.waiter.send(self.sender, last)?;
        Ok(())
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = buffer.len().min(CHUNK);
        self.part(Bytes::copy_from_slice(&buffer[..length]))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client is gone, which an `AppError` made of this knows to be nobody's failure.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is gone")
    }
}

impl Error for Gone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&SendError::Disconnected)
    }
}
