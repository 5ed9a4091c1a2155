//! The input of a connection that has been read and not decoded.

use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use tokio_util::io::poll_read_buf;

use crate::stream::Stream;

/// A buffer with less free room than this is replaced before the next read, in octets.
const LEAST_ROOM: usize = 1024;

/// The bounds of the room for a read, in octets.
const ROOM: RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// The read buffer of a connection.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) buffer: BytesMut,
    /// The room for the next read. It is doubled after a read that fills it, and halved after a read that
    /// uses less than a quarter of it.
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

    /// Reads at most so many octets into the buffer. Returns their number; 0 at the end of the input.
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Stream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // No memory is held by a connection that waits for input.
        if self.buffer.capacity() == 0 {
            ready!(stream.poll_read_ready(cx))?;
        }
        let room = self.room.min(most);
        // Pieces that the application keeps share their buffer, so each buffer is used up.
        let mut has_room = self.buffer.try_reclaim(room) || self.free() >= LEAST_ROOM;
        if self.buffer.is_empty() && self.free() > 4 * room {
            // The memory of the large reads before is given back.
            self.buffer = BytesMut::new();
            has_room = false;
        }
        if !has_room {
            self.buffer.reserve(room);
        }
        let free = self.free();
        let mut buffer = (&mut self.buffer).limit(room);
        let length = ready!(poll_read_buf(Pin::new(stream), cx, &mut buffer))?;
        self.read = self.read.wrapping_add(length as u64);
        self.is_ended = length == 0;
        if length >= self.room {
            self.room = (2 * self.room).min(*ROOM.end());
        } else if length < free.min(self.room / 4) {
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
