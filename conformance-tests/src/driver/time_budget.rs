//! The time for which the driver waits for an application that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A time limit that only an application that does nothing uses up. Once the limit has been reached,
/// later waits for the same thing get a twentieth of it, so that a report on an application that
/// always hangs does not take minutes.
#[derive(Clone, Debug)]
pub(crate) struct TimeBudget {
    limit: Duration,
    is_exhausted: Arc<[AtomicBool; 3]>,
}

/// The event that the driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The response. An application may take longer than the limit; the client disconnects then.
    Response,
    /// The end of background work after the response. The work may take any time; the driver drops
    /// the call at the limit.
    BackgroundWork,
    /// An obligation: an application that has not met it at the limit breaks a rule.
    Obligation,
}

impl TimeBudget {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            is_exhausted: Arc::default(),
        }
    }

    /// Returns how long to wait now.
    pub(crate) fn limit(&self, awaited: Awaited) -> Duration {
        if self.is_exhausted[awaited as usize].load(Ordering::Relaxed) {
            self.limit / 20
        } else {
            self.limit
        }
    }

    /// Notes that the limit was reached.
    pub(crate) fn exhaust(&self, awaited: Awaited) {
        self.is_exhausted[awaited as usize].store(true, Ordering::Relaxed);
    }
}
