//! The numbers of a layer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::Sequence;

/// The numbers of one layer in one process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// The messages that this process has published, to groups and to members.
    pub published: u64,
    /// The publications of this process that failed.
    pub publish_errors: u64,
    /// The events that subscriptions of this process have yielded, without gaps.
    pub delivered: u64,
    /// The gaps that subscriptions of this process have yielded.
    pub missed: u64,
    /// The subscriptions of this process, with those of members to their inboxes.
    pub subscribers: usize,
    /// The members that have joined through this process.
    pub members: usize,
    /// How often the layer has connected to its backend again.
    pub reconnects: u64,
    /// The age of one of the last 16 events when it was yielded, by the clock of this process.
    pub lag: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) published: AtomicU64,
    pub(crate) publish_errors: AtomicU64,
    pub(crate) subscribers: AtomicUsize,
    pub(crate) members: AtomicUsize,
    delivered: AtomicU64,
    missed: AtomicU64,
    lag_micros: AtomicU64,
    /// The number of the event whose lag this is.
    lag_of: AtomicU64,
}

/// The deliveries after which the lag is measured again. The clock would be a tenth of the cost of a delivery.
const LAG_DELIVERIES: u64 = 16;
/// The microseconds between two events whose lag is measured in any case.
const LAG_RESOLUTION: u64 = 1_000;

impl Counters {
    /// Counts an event with this number, or a gap, that a subscription yields.
    pub(crate) fn count_yielded(&self, is_gap: bool, sequence: Sequence) {
        let counter = if is_gap {
            &self.missed
        } else {
            &self.delivered
        };
        let count = counter.fetch_add(1, Ordering::Relaxed);
        let measured = self.lag_of.load(Ordering::Relaxed);
        if count.is_multiple_of(LAG_DELIVERIES)
            || sequence.get().abs_diff(measured) >= LAG_RESOLUTION
        {
            let lag = Sequence::now().get().saturating_sub(sequence.get());
            self.lag_micros.store(lag, Ordering::Relaxed);
            self.lag_of.store(sequence.get(), Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self, reconnects: u64) -> Metrics {
        Metrics {
            published: self.published.load(Ordering::Relaxed),
            publish_errors: self.publish_errors.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
            subscribers: self.subscribers.load(Ordering::Relaxed),
            members: self.members.load(Ordering::Relaxed),
            reconnects,
            lag: Duration::from_micros(self.lag_micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_that_of_one_of_the_last_sixteen_or_of_a_later_event() {
        let counters = Counters::default();
        let lag_of = || counters.lag_of.load(Ordering::Relaxed);
        let base = Sequence::now().get();
        counters.count_yielded(false, Sequence::new(base));
        assert_eq!(lag_of(), base);
        counters.count_yielded(false, Sequence::new(base + LAG_RESOLUTION));
        assert_eq!(lag_of(), base + LAG_RESOLUTION);
        // The events after these are close to the last.
        for delivered in 2..=LAG_DELIVERIES {
            let last = base + LAG_RESOLUTION + delivered;
            counters.count_yielded(false, Sequence::new(last));
            assert_eq!(lag_of() == last, delivered == LAG_DELIVERIES);
        }
        assert_eq!(counters.snapshot(0).delivered, LAG_DELIVERIES + 1);
    }
}
