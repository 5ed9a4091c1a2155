//! One exchange, on the thread of a blocking function.

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

use super::body::{Body, Source};

/// The size of a part of the content, in bytes.
const CHUNK: usize = 64 * 1024;

/// Blocks the thread on futures, until the future of the call is dropped.
pub(super) struct CallHandle {
    pub(super) runtime: Handle,
    /// Closed when the future of the call is dropped.
    pub(super) call: watch::Receiver<()>,
}

impl CallHandle {
    /// Returns the output of `future`; `None` when the future of the call is dropped, because its grace
    /// period or the server has ended.
    fn block_on<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let dropped = pin!(self.call.changed());
        match self.runtime.block_on(select(pin!(future), dropped)) {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    fn send(&mut self, sender: &Sender, event: impl Into<SendEvent>) -> Result<(), SendError> {
        let sent = self.block_on(sender.send(event));
        sent.unwrap_or(Err(SendError::Disconnected))
    }
}

/// The content of the request. Nothing is received before the function reads it.
pub(super) struct Reader<'a> {
    pub(super) call: &'a mut CallHandle,
    pub(super) receiver: Receiver,
    current: Bytes,
    is_whole: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(call: &'a mut CallHandle, receiver: Receiver) -> Self {
        Self {
            call,
            receiver,
            current: Bytes::new(),
            is_whole: false,
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_whole && !buffer.is_empty() {
            match self.call.block_on(self.receiver.receive()) {
                Some(ReceiveEvent::HttpRequestBody(request)) => {
                    self.current = request.body;
                    self.is_whole = !request.more_body;
                }
                Some(ReceiveEvent::HttpDisconnect) | None => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ClientGone));
                }
                Some(_) => {}
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// Sends the response, whose content is produced meanwhile.
pub(super) fn send(
    call: &mut CallHandle,
    sender: &Sender,
    response: Response<Body>,
) -> Result<(), AppError> {
    let (parts, body) = response.into_parts();
    let mut start = HttpResponseStart::new(parts.status);
    start.headers = parts.headers;
    call.send(sender, start)?;
    let mut writer = Writer {
        call,
        sender,
        failed: None,
    };
    let written = match body.0 {
        Source::Empty => return writer.end(Bytes::new()),
        Source::Whole(content) => return writer.end(content),
        Source::Reader(mut reader) => writer.copy(&mut *reader),
        Source::Parts(mut parts) => parts.try_for_each(|part| writer.part(part?)),
        Source::Writer(write) => write(&mut writer),
    };
    match (writer.failed.take(), written) {
        // A failed send counts, whatever the function made of it.
        (Some(failed), _) => Err(failed.into()),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => writer.end(Bytes::new()),
    }
}

/// Sends the content of the response. Each part waits until the server has taken it.
struct Writer<'a> {
    call: &'a mut CallHandle,
    sender: &'a Sender,
    /// The error of a send, after which the client does not get the rest.
    failed: Option<SendError>,
}

impl Writer<'_> {
    fn part(&mut self, part: Bytes) -> io::Result<()> {
        let part = HttpResponseBody::part(part);
        self.call.send(self.sender, part).map_err(|error| {
            self.failed = Some(error.clone());
            match error {
                SendError::Disconnected => io::Error::new(io::ErrorKind::BrokenPipe, ClientGone),
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
        self.call.send(self.sender, last)?;
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

/// The client is gone. An `AppError` created from this error is a disconnect, not a failure.
#[derive(Debug)]
struct ClientGone;

impl fmt::Display for ClientGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is gone")
    }
}

impl Error for ClientGone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&SendError::Disconnected)
    }
}
