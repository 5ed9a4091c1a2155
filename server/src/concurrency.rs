//! The limit on the exchanges in flight, and the queue of the exchanges that wait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::Config;

/// A permit for an exchange, which counts as in flight until the permit is dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The exchanges in flight, and those that wait.
#[derive(Debug)]
pub(crate) struct Concurrency {
    /// `None` without a limit.
    permits: Option<Arc<Semaphore>>,
    /// The places of the queue that are free.
    places: Arc<Semaphore>,
    timeout: Duration,
}

/// Whether an exchange may begin.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The exchange begins. `None` if nothing is counted.
    Admitted(Option<Permit>),
    /// The exchange waits.
    Queued(Waiting),
    /// There are too many exchanges in flight, and too many that wait.
    Refused,
}

/// A place in the queue. Completes with a permit, or with `None` when the time is over.
pub(crate) struct Waiting(Pin<Box<dyn Future<Output = Option<Permit>> + Send>>);

impl Concurrency {
    pub(crate) fn new(config: &Config) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(MOST)));
        Self {
            permits: (config.limits.concurrency).map(|limit| semaphore(limit.get())),
            places: semaphore(config.limits.concurrency_queue),
            timeout: config.timeouts.concurrency_queue,
        }
    }

    /// Admits an exchange if there is no limit or if the limit is not reached. Exchanges that wait are
    /// admitted first.
    #[inline]
    pub(crate) fn admit(&self) -> Admission {
        match &self.permits {
            None => Admission::Admitted(None),
            Some(permits) => self.admit_within(permits),
        }
    }

    fn admit_within(&self, permits: &Arc<Semaphore>) -> Admission {
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return Admission::Admitted(Some(permit));
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Admission::Refused;
        };
        let permit = timeout(self.timeout, permits.clone().acquire_owned());
        Admission::Queued(Waiting(Box::pin(async move {
            let permit = permit.await;
            drop(place);
            permit.ok().and_then(Result::ok)
        })))
    }
}

/// The WebSockets that may still be open at a time.
#[derive(Debug)]
pub(crate) struct OpenWebSockets {
    /// `None` without a limit.
    places: Option<Arc<Semaphore>>,
}

/// Whether there is a place for another WebSocket.
#[derive(Debug)]
pub(crate) enum Place {
    /// There is, until the permit is dropped. `None` if nothing is counted.
    Free(Option<Permit>),
    /// There is none.
    None,
}

impl OpenWebSockets {
    pub(crate) fn new(config: &Config) -> Self {
        let limit = config.websocket.max_open;
        Self {
            places: limit.map(|limit| Arc::new(Semaphore::new(limit.get().min(MOST)))),
        }
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(&self) -> Place {
        match &self.places {
            None => Place::Free(None),
            Some(places) => match places.clone().try_acquire_owned() {
                Ok(permit) => Place::Free(Some(permit)),
                Err(_) => Place::None,
            },
        }
    }
}

/// The most permits of a semaphore.
const MOST: usize = Semaphore::MAX_PERMITS;

impl Waiting {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::num::NonZeroUsize;

    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    fn concurrency() -> Concurrency {
        let config = Config::new()
            .limit_concurrency(NonZeroUsize::new(1))
            .concurrency_queue(1)
            .timeout_concurrency_queue(Duration::from_secs(3));
        Concurrency::new(&config)
    }

    fn admitted(admission: Admission) -> Option<Permit> {
        match admission {
            Admission::Admitted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn queued(admission: Admission) -> Waiting {
        match admission {
            Admission::Queued(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_exchange_that_waits_begins_when_another_ends_and_before_a_newer_one() {
        let concurrency = concurrency();
        let first = admitted(concurrency.admit());
        let mut second = queued(concurrency.admit());
        assert!(matches!(concurrency.admit(), Admission::Refused));
        assert!(poll_fn(|cx| second.poll(cx)).now_or_never().is_none());
        drop(first);
        // The permit is that of the second.
        assert!(matches!(concurrency.admit(), Admission::Refused));
        let second = poll_fn(|cx| second.poll(cx)).await.unwrap();
        let mut third = queued(concurrency.admit());
        drop(second);
        assert!(poll_fn(|cx| third.poll(cx)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_waits_for_a_limited_time_and_leaves_its_place() {
        let concurrency = concurrency();
        let _first = admitted(concurrency.admit());
        let start = Instant::now();
        let mut second = queued(concurrency.admit());
        assert!(poll_fn(|cx| second.poll(cx)).await.is_none());
        assert_eq!(start.elapsed().as_secs(), 3);
        drop(queued(concurrency.admit()));
        let _third = queued(concurrency.admit());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let concurrency = Concurrency::new(&Config::new());
        assert!(admitted(concurrency.admit()).is_none());
    }
}
