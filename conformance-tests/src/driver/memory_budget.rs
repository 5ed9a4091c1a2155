//! The amount of a client's content that an application may hold.

use super::live_bytes::LiveBytes;
use super::process_memory::resident_memory;

/// Below this limit, in bytes, the memory of the process says nothing about one exchange.
const MIN_MEASURABLE_LIMIT: usize = 8 * 1024 * 1024;

/// A limit on the amount of its client's content that an application may hold: the bytes of events
/// that are still alive, and copies of them as far as the memory of the process shows them.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    pub(crate) live_bytes: LiveBytes,
    /// In bytes.
    pub(crate) limit: usize,
    delivered: usize,
    /// The memory of the process at the first delivery.
    memory_at_start: Option<usize>,
    /// Whether the memory of the process has grown with the delivered content, at each measurement.
    is_growing: bool,
}

impl MemoryBudget {
    /// Creates a budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            live_bytes: LiveBytes::default(),
            limit,
            delivered: 0,
            memory_at_start: None,
            is_growing: true,
        }
    }

    /// Notes that `length` bytes have been delivered, and measures the memory of the process each
    /// time another half of the limit has been delivered. Returns whether the application certainly
    /// copies the content: four times the limit has been delivered, and the memory has grown by more
    /// than half of the delivered bytes at each measurement.
    pub(super) fn is_exceeded_by_copies(&mut self, length: usize) -> bool {
        let before = self.delivered;
        self.delivered += length;
        if self.limit < MIN_MEASURABLE_LIMIT {
            return false;
        }
        if self.memory_at_start.is_none() {
            self.memory_at_start = resident_memory();
        }
        let step = (self.limit / 2).max(1);
        let is_measured = before / step != self.delivered / step;
        if !is_measured || self.delivered < self.limit * 2 {
            return false;
        }
        let (Some(now), Some(at_start)) = (resident_memory(), self.memory_at_start) else {
            return false;
        };
        self.is_growing &= now.saturating_sub(at_start) > self.delivered / 2;
        self.is_growing && self.delivered >= self.limit * 4
    }
}
