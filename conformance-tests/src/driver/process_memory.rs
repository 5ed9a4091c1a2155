//! The memory of this process, and its growth in one call.

/// The smallest limit on the growth in one call, in bytes. No application that serves many clients
/// needs this much for one of them.
pub(super) const MIN_GROWTH_LIMIT: usize = 1 << 30;

/// Returns the resident memory of this process in bytes, or `None` on a system without `/proc`.
pub(super) fn resident_memory() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    // On a system with larger pages, the result is smaller than the memory in use.
    Some(pages * 4096)
}

/// The growth of the memory of the process since a call began.
pub(super) struct MemoryGrowth {
    /// The least memory seen so far. Memory of an earlier call may be freed during this one.
    least: Option<usize>,
    limit: usize,
}

impl MemoryGrowth {
    /// Starts to measure, with a limit in bytes.
    pub(super) fn with_limit(limit: usize) -> Self {
        Self {
            least: resident_memory(),
            limit,
        }
    }

    /// Returns whether the growth exceeds the limit. Returns false on a system without `/proc`.
    pub(super) fn exceeds_limit(&mut self) -> bool {
        let (Some(least), Some(now)) = (self.least, resident_memory()) else {
            return false;
        };
        self.least = Some(least.min(now));
        now.saturating_sub(least) > self.limit
    }
}
