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
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Each item with its size in bytes.
    items: VecDeque<(T, usize)>,
    bytes: usize,
    /// The number of items at which the queue is full.
    capacity: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
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
        self.items.len() >= self.capacity || self.bytes >= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[cfg(feature = "websocket")]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back((item, bytes));
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes -= bytes;
        if self.items.is_empty() {
            // The memory is freed: an idle WebSocket keeps none for its queues.
            self.items = VecDeque::new();
        }
        Some(item)
    }
}
