//! Applications that would take all the memory that there is.

use super::resident_memory;

/// What the memory of the process may grow by in one call, in bytes. No application that is served
/// to many needs as much for one of them.
pub(super) const MOST: usize = 1 << 30;

/// The memory of the process since a call began.
pub(super) struct Growth {
    /// The least of it that was seen: what an earlier call has held may be freed only now.
    least: Option<usize>,
    most: usize,
}

impl Growth {
    /// Begins now.
    pub(super) fn up_to(most: usize) -> Self {
        Self {
            least: resident_memory(),
            most,
        }
    }

    /// Whether it is too much, where the system tells.
    pub(super) fn is_too_much(&mut self) -> bool {
        let (Some(least), Some(now)) = (self.least, resident_memory()) else {
            return false;
        };
        self.least = Some(least.min(now));
        now.saturating_sub(least) > self.most
    }
}
