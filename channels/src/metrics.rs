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
    /// The age of the event that was yielded last, by the clock of this process.
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
}

impl Counters {
    /// Counts events that were handed to a subscription, the last of which has this number.
    pub(crate) fn count_read(&self, events: u64, gaps: u64, last: Sequence) {
        self.delivered.fetch_add(events, Ordering::Relaxed);
        if gaps > 0 {
            self.missed.fetch_add(gaps, Ordering::Relaxed);
        }
        let lag = Sequence::now().get().saturating_sub(last.get());
        self.lag_micros.store(lag, Ordering::Relaxed);
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
