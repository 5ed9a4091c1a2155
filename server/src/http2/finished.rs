//! Responses whose last octet hyper already holds. They are grouped by the time of their last progress.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::deadline::CHECKS;

/// The number of periods that are told apart.
///
/// A period is an eighth of `timeout_write`. A response counts as stalled after ten to eleven periods
/// without progress. A stream that can still be reset is reset after at most nine.
const PERIODS: usize = CHECKS as usize + 4;

/// Counts the responses that hyper holds with their end, by the period of their last progress.
///
/// hyper has no handle by which such a stream could be reset. The counts show that one of them is
/// stalled, and cost two atomic operations for each response.
#[derive(Debug, Default)]
pub(super) struct FinishedResponses {
    /// The index of the present period.
    now: AtomicUsize,
    counts: [AtomicU32; PERIODS],
    total: AtomicU32,
}

/// The period in which a response is counted.
#[derive(Debug)]
pub(super) struct Period(usize);

impl FinishedResponses {
    /// Counts a response in the present period.
    pub(super) fn add(&self) -> Period {
        let now = self.now.load(Ordering::Relaxed);
        self.counts[now].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        Period(now)
    }

    /// Moves a response, which has made progress, to the present period.
    pub(super) fn renew(&self, period: &mut Period) {
        let now = self.now.load(Ordering::Relaxed);
        if period.0 != now {
            self.counts[now].fetch_add(1, Ordering::Relaxed);
            self.counts[period.0].fetch_sub(1, Ordering::Relaxed);
            period.0 = now;
        }
    }

    pub(super) fn remove(&self, period: &Period) {
        self.counts[period.0].fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total.load(Ordering::Relaxed) == 0
    }

    /// Begins the next period. Returns whether a response is stalled.
    pub(super) fn begin_period(&self) -> bool {
        let next = (self.now.load(Ordering::Relaxed) + 1) % PERIODS;
        let is_stalled = self.counts[next].load(Ordering::Relaxed) > 0;
        if !is_stalled {
            self.now.store(next, Ordering::Relaxed);
        }
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_without_progress_is_stalled_after_more_than_the_time_out() {
        let finished = FinishedResponses::default();
        assert!(finished.is_empty());
        let stalled = finished.add();
        let mut moving = finished.add();
        let mut periods = 0;
        while !finished.begin_period() {
            periods += 1;
            finished.renew(&mut moving);
            // Other responses come and go.
            finished.remove(&finished.add());
        }
        assert_eq!(periods, PERIODS - 1);
        assert!(periods > CHECKS as usize + 1);
        finished.remove(&stalled);
        assert!(!finished.begin_period());
        assert!(!finished.is_empty());
        finished.remove(&moving);
        assert!(finished.is_empty());
    }
}
