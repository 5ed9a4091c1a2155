//! Detects a call that blocks its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::channel::DriverChannel;

/// The interval at which a worker thread that is not blocked shows that it runs.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(20);

/// The last time at which the worker thread of a runtime ran other tasks than a call.
pub(super) struct Heartbeat {
    created: Instant,
    /// In milliseconds after `created`.
    last: AtomicU64,
}

impl Heartbeat {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            created: Instant::now(),
            last: AtomicU64::new(0),
        })
    }

    /// Keeps the heartbeat up to date, on the worker thread, until the heartbeat is dropped.
    pub(super) async fn keep_up(heartbeat: Weak<Self>) {
        while let Some(heartbeat) = heartbeat.upgrade() {
            let now = heartbeat.created.elapsed().as_millis();
            let now = u64::try_from(now).unwrap_or(u64::MAX);
            heartbeat.last.store(now, Ordering::Relaxed);
            drop(heartbeat);
            tokio::time::sleep(HEARTBEAT_INTERVAL).await;
        }
    }

    /// Returns the time since the last heartbeat.
    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(last)
    }
}

/// Watches one call from another thread.
pub(super) struct StallDetector<'a> {
    channel: &'a DriverChannel,
    /// The number of polls of the call when it was last seen to be polled.
    polls: usize,
    polled_at: Instant,
}

impl<'a> StallDetector<'a> {
    pub(super) fn new(channel: &'a DriverChannel) -> Self {
        Self {
            channel,
            polls: channel.call_polls(),
            polled_at: Instant::now(),
        }
    }

    /// Returns whether this call, or another on the same worker thread, has blocked the thread for
    /// longer than `limit`.
    pub(super) fn has_stalled(&mut self, heartbeat: &Heartbeat, limit: Duration) -> bool {
        let polls = self.channel.call_polls();
        if polls != self.polls {
            self.polls = polls;
            self.polled_at = Instant::now();
        }
        // A machine under load can delay a heartbeat without a blocked thread.
        let limit = limit.max(HEARTBEAT_INTERVAL * 20);
        heartbeat.silence() > limit && self.polled_at.elapsed() > limit
    }
}
