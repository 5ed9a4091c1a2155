//! A stream of messages over a connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use callgate::{Message, WebSocketClose};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::{poll_read_buf, poll_write_buf};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::decoder::Decoder;
use super::error::{MessageError, ReadError};
use super::output::Output;
use super::{Received, Role, close_frame};
use crate::websocket::deflate::{Compressor, DeflateParameters};

/// The most that is read at once, in octets. A message of 16 KiB fits with its header.
const MAX_READ: usize = 20 * 1024;
/// A payload of which as much is still to come is read into its message without a copy.
const MIN_DIRECT_READ: usize = 4096;

/// The limits of a stream of messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageConfig {
    /// The largest message that is read, in bytes.
    pub max_message_size: usize,
    /// The largest number of frames of a message that is read.
    pub max_message_frames: usize,
    /// The octets of output that may wait when a further message is written. The message itself may
    /// be larger.
    pub max_waiting_output: usize,
    /// The parameters of permessage-deflate, if the peers have agreed to it.
    pub deflate: Option<DeflateParameters>,
}

/// Reads and writes messages over a stream of octets.
///
/// The functions that begin with `start_` queue a frame. [`Self::poll_flush`] sends the queued
/// frames. Nothing is queued after a close frame.
#[derive(Debug)]
pub struct MessageStream<S> {
    stream: S,
    role: Role,
    max_waiting_output: usize,
    decoder: Decoder,
    /// Octets that have been read and not decoded: those after a message that was returned.
    unread: BytesMut,
    output: Output,
    /// Set if permessage-deflate was agreed to.
    compressor: Option<Compressor>,
    has_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> MessageStream<S> {
    /// Creates a stream of messages over a connection whose handshake is complete. `unread` is the
    /// input that has been read after the handshake.
    pub fn new(stream: S, unread: &[u8], role: Role, config: MessageConfig) -> Self {
        let MessageConfig {
            max_message_size,
            max_message_frames,
            deflate,
            ..
        } = config;
        let context = deflate.map(|parameters| match role {
            Role::Server => parameters.server(),
            Role::InProcessClient => parameters.client(),
        });
        Self {
            stream,
            role,
            max_waiting_output: config.max_waiting_output,
            decoder: Decoder::new(role, max_message_size, max_message_frames, deflate.as_ref()),
            unread: BytesMut::from(unread),
            output: Output::default(),
            compressor: context.map(Compressor::new),
            has_closed: false,
        }
    }

    /// Returns the connection.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the connection.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the next message or control frame of the peer. Must not be called again after an
    /// error or a close frame.
    ///
    /// # Errors
    ///
    /// [`ReadError::Invalid`] if the peer breaks the protocol or a limit, as soon as the octets that
    /// do so have arrived. [`ReadError::ConnectionLost`] if the connection ends or fails.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, ReadError>> {
        if !self.unread.is_empty() {
            let (used, received) = self.decoder.decode(&mut self.unread)?;
            self.unread.advance(used);
            if self.unread.is_empty() {
                self.unread = BytesMut::new();
            }
            if let Some(received) = received {
                return Poll::Ready(Ok(received));
            }
        }
        loop {
            let received = match self.decoder.buffer(MIN_DIRECT_READ) {
                Some(mut buffer) => {
                    let stream = Pin::new(&mut self.stream);
                    let count = ready!(poll_read_buf(stream, cx, &mut buffer))?;
                    if count == 0 {
                        return Poll::Ready(Err(ReadError::ConnectionLost));
                    }
                    self.decoder.filled(count)?
                }
                None => ready!(self.poll_read(cx))?,
            };
            if let Some(received) = received {
                return Poll::Ready(Ok(received));
            }
        }
    }

    /// Reads once into a buffer on the stack, so that an idle stream holds none, and decodes what
    /// has been read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Received>, ReadError>> {
        let mut octets = [const { MaybeUninit::uninit() }; MAX_READ];
        let mut buffer = ReadBuf::uninit(&mut octets);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let octets = buffer.filled_mut();
        if octets.is_empty() {
            return Poll::Ready(Err(ReadError::ConnectionLost));
        }
        let (used, received) = self.decoder.decode(octets)?;
        self.unread.extend_from_slice(&octets[used..]);
        Poll::Ready(Ok(received))
    }

    /// Returns whether there is room for a further message: whether [`Self::poll_ready`] is ready
    /// without a write.
    pub fn has_room(&self) -> bool {
        self.output.remaining() <= self.max_waiting_output
    }

    /// Returns ready when there is room for a further message. Writes the output that waits if there
    /// is none.
    ///
    /// # Errors
    ///
    /// Returns the error of a connection that has failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.has_room() {
            ready!(self.poll_write(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Queues a message, compressed if permessage-deflate was agreed to and the message is of a size
    /// that is compressed.
    pub fn start_send(&mut self, message: Message) {
        if self.has_closed {
            return;
        }
        let (data, payload) = match message {
            Message::Text(text) => (Data::Text, text.into_bytes()),
            Message::Binary(octets) => (Data::Binary, octets),
        };
        let compressor = self.compressor.as_mut();
        let compressed = compressor.and_then(|compressor| compressor.compress(&payload));
        let is_compressed = compressed.is_some();
        let payload = compressed.unwrap_or(payload);
        self.output
            .push(self.role, OpCode::Data(data), is_compressed, payload);
    }

    /// Queues a ping without a payload.
    pub fn start_ping(&mut self) {
        self.push_control(Control::Ping, Bytes::new());
    }

    /// Queues a pong with the payload of a ping.
    pub fn start_pong(&mut self, payload: Bytes) {
        self.push_control(Control::Pong, payload);
    }

    /// Queues a close frame, without a payload if `close` is `None`.
    pub fn start_close(&mut self, close: Option<&WebSocketClose>) {
        self.push_control(Control::Close, close_frame::encode(close));
        self.has_closed = true;
    }

    /// Returns whether queued frames are still to be sent.
    pub fn has_output(&self) -> bool {
        self.output.has_remaining()
    }

    /// Sends all queued frames. Returns ready when the connection has taken them.
    ///
    /// # Errors
    ///
    /// Returns the error of a connection that has failed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.output.has_remaining() {
            ready!(self.poll_write(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        let count = match self.output.as_single() {
            // Cheaper than a vectored write of one part.
            Some(octets) => {
                let count = ready!(stream.poll_write(cx, octets))?;
                self.output.advance(count);
                count
            }
            None => ready!(poll_write_buf(stream, cx, &mut self.output))?,
        };
        match count {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn push_control(&mut self, control: Control, payload: Bytes) {
        if !self.has_closed {
            let opcode = OpCode::Control(control);
            self.output.push(self.role, opcode, false, payload);
        }
    }
}

impl From<MessageError> for ReadError {
    fn from(error: MessageError) -> Self {
        Self::Invalid(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::ConnectionLost
    }
}
