//! The bounded queues of an open WebSocket, one for each direction.

use std::collections::VecDeque;

use callgate::{Message, WebSocketClose};

/// The default number of messages at which a queue is full.
const MAX_MESSAGES: usize = 64;
/// The size of all messages, in bytes, at which a queue is full. A single message may be larger.
const MAX_BYTES: usize = 64 * 1024;

/// An event of the application that becomes a frame.
#[derive(Debug)]
pub enum Outbound {
    /// A message.
    Message(Message),
    /// A close, which is the last event.
    Close(WebSocketClose),
}

impl Outbound {
    /// The size of the payload, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Close(close) => close.reason.len(),
        }
    }
}

/// A queue that reports when it is full, and takes further items nevertheless.
///
/// The first item is held in place: a queue of at most one item, as nearly all are, allocates
/// nothing.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The first item with its size in bytes.
    first: Option<(T, usize)>,
    /// The items after `first`.
    rest: VecDeque<(T, usize)>,
    bytes: usize,
    /// The number of items at which the queue is full.
    capacity: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: VecDeque::new(),
            bytes: 0,
            capacity: MAX_MESSAGES,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity || self.bytes >= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Returns the size of all items, in bytes.
    #[cfg(feature = "websocket")]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        match &self.first {
            None => self.first = Some((item, bytes)),
            Some(_) => self.rest.push_back((item, bytes)),
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let (item, bytes) = self.first.take()?;
        self.bytes -= bytes;
        self.first = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            // The memory is freed: an idle WebSocket keeps none for its queues.
            self.rest = VecDeque::new();
        }
        Some(item)
    }
}
