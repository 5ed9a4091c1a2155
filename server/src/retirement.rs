//! When a process has served enough, by the limits of the settings.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Process;
use crate::random::random_octets;

/// The limits of a process: the number of requests that it serves, and its age.
#[derive(Debug)]
pub(crate) struct Retirement {
    max_requests: Option<u64>,
    max_age: Option<Duration>,
    served: AtomicU64,
    is_reached: Notify,
}

/// What is called at a limit, in place of the shutdown of the server.
#[derive(Clone)]
pub(crate) struct OnLimit(Arc<dyn Fn() + Send + Sync>);

impl OnLimit {
    pub(crate) fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for OnLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLimit").finish_non_exhaustive()
    }
}

/// The limit that a process has reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Requests(u64),
    Age(Duration),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(number) => write!(f, "{number} requests have been served"),
            Self::Age(age) => write!(f, "it has served for {age:?}"),
        }
    }
}

impl Retirement {
    pub(crate) fn new(settings: &Process) -> Self {
        let jitter = settings.limit_max_requests_jitter;
        Self {
            max_requests: (settings.limit_max_requests)
                .map(|number| number.saturating_add(random_up_to(jitter))),
            max_age: settings.limit_max_age,
            served: AtomicU64::new(0),
            is_reached: Notify::new(),
        }
    }

    /// Counts a request.
    #[inline]
    pub(crate) fn count(&self) {
        if let Some(limit) = self.max_requests {
            let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            // A process that goes on after the limit reaches it again after as many requests.
            if served.is_multiple_of(limit) {
                self.is_reached.notify_one();
            }
        }
    }

    /// Completes when a limit is reached. The age is counted from the first poll.
    pub(crate) async fn due(&self) -> Limit {
        let age = async {
            match self.max_age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.is_reached.notified() => Limit::Requests(self.max_requests.unwrap_or(0)),
            () = age => Limit::Age(self.max_age.unwrap_or(Duration::MAX)),
        }
    }
}

/// Returns a number from 0 to `most` that differs from process to process.
fn random_up_to(most: u64) -> u64 {
    let random = u64::from_ne_bytes(random_octets());
    most.checked_add(1).map_or(random, |count| random % count)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn the_limit_is_reached_again_after_as_many_requests() {
        let retirement = Retirement::new(&Config::new().limit_max_requests(Some(2)).process);
        for _ in 0..2 {
            retirement.count();
            assert!(retirement.due().now_or_never().is_none());
            retirement.count();
            assert!(retirement.due().now_or_never().is_some());
        }
    }

    #[test]
    fn the_jitter_differs_from_process_to_process_and_has_a_bound() {
        let numbers: HashSet<_> = (0..100).map(|_| random_up_to(9)).collect();
        assert!(numbers.len() > 1);
        assert!(numbers.iter().all(|number| *number <= 9));
        assert_eq!(random_up_to(0), 0);
    }
}
