//! The input of a connection that has been read and not decoded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio_util::io::poll_read_buf;

use crate::stream::Stream;

/// The least room for a read, in octets.
const LEAST_ROOM: usize = 1024;

/// The read buffer of a connection.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) buffer: BytesMut,
    /// The number of octets that have been read. The number wraps.
    read: u64,
    /// Whether the client has closed its sending side.
    is_ended: bool,
}

impl Input {
    /// Creates the input of a connection of which `buffer` has been read.
    pub(super) fn new(buffer: BytesMut) -> Self {
        Self {
            read: buffer.len() as u64,
            buffer,
            is_ended: false,
        }
    }

    /// Returns the number of octets that have been read. The number wraps.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Returns whether the client has closed its sending side.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Reads into the buffer, which gets `room` octets when it has little room. Returns the number of
    /// octets; 0 at the end of the input.
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Stream,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // No memory is held by a connection that waits for input.
        if self.buffer.capacity() == 0 {
            ready!(stream.poll_read_ready(cx))?;
        }
        // Pieces that the application keeps share their buffer, so each buffer is used up.
        if self.buffer.capacity() - self.buffer.len() < LEAST_ROOM {
            self.buffer.reserve(room);
        }
        let length = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.buffer))?;
        Poll::Ready(Ok(self.count(length)))
    }

    fn count(&mut self, length: usize) -> usize {
        self.read = self.read.wrapping_add(length as u64);
        self.is_ended = length == 0;
        length
    }

    /// Frees the memory of a buffer that is empty.
    pub(super) fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}
