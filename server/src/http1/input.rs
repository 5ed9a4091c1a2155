//! The input of a connection that has been read and not decoded.

use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio_util::io::poll_read_buf;

use crate::stream::Stream;

/// The least room that the next read uses up before there is a new buffer, in octets.
const LEAST_ROOM: usize = 1024;

/// The bounds of the room for a read, in octets.
const ROOM: RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// The read buffer of a connection.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) buffer: BytesMut,
    /// The room for the next read, unless more is known to come: twice as much after a read that had
    /// too little, and half as much after one that had far too much.
    room: usize,
    /// The number of octets that have been read. The number wraps.
    read: u64,
    /// Whether the client has closed its sending side.
    is_ended: bool,
}

impl Input {
    /// Creates the input of a connection of which `buffer` has been read.
    pub(super) fn new(buffer: BytesMut) -> Self {
        Self {
            room: *ROOM.start(),
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

    /// Reads into the buffer. `expected` is the number of octets that are known to come, or 0. Returns
    /// the number of octets; 0 at the end of the input.
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Stream,
        expected: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // No memory is held by a connection that waits for input.
        if self.buffer.capacity() == 0 {
            ready!(stream.poll_read_ready(cx))?;
        }
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let room = expected.min(*ROOM.end()).max(self.room);
        // Pieces that the application keeps share their buffer, so each buffer is used up.
        let has_room = self.buffer.try_reclaim(room) || self.free() >= LEAST_ROOM;
        if !has_room {
            self.buffer.reserve(room);
        }
        let free = self.free();
        let length = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.buffer))?;
        self.read = self.read.wrapping_add(length as u64);
        self.is_ended = length == 0;
        if length == free {
            self.room = (2 * self.room).min(*ROOM.end());
        } else if length < self.room / 4 {
            self.room = (self.room / 2).max(*ROOM.start());
        }
        Poll::Ready(Ok(length))
    }

    /// Returns how many octets there is room for.
    fn free(&self) -> usize {
        self.buffer.capacity() - self.buffer.len()
    }

    /// Frees the memory of a buffer that is empty.
    pub(super) fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.room = *ROOM.start();
        }
    }
}
