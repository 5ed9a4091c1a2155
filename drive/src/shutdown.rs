//! The signal that a server is shutting down.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// A flag that is set once, when a server begins to shut down. Any number of tasks can wait for it.
///
/// All clones share the flag. Each clone wakes one task: the task that polled it last. Creating a
/// clone increments one reference count; the first poll of a clone allocates.
///
/// ```
/// use std::future::poll_fn;
///
/// use callgate_drive::ShutdownSignal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shutdown = ShutdownSignal::new();
/// let mut of_exchange = shutdown.clone();
/// let waiting = tokio::spawn(async move { poll_fn(|cx| of_exchange.poll_set(cx)).await });
/// shutdown.set();
/// waiting.await.unwrap();
/// # }
/// ```
#[derive(Default)]
pub struct ShutdownSignal {
    shared: Arc<Shared>,
    /// The task that this clone wakes.
    registration: Option<Box<Registration>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_set: AtomicBool,
    changed: Arc<Notify>,
}

struct Registration {
    notified: Pin<Box<OwnedNotified>>,
    waker: Waker,
}

impl ShutdownSignal {
    /// Creates a signal that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the signal, and wakes all tasks that wait for it.
    pub fn set(&self) {
        self.shared.is_set.store(true, Ordering::Release);
        self.shared.changed.notify_waiters();
    }

    /// Returns whether the signal is set. Costs one atomic load.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.shared.is_set.load(Ordering::Acquire)
    }

    /// Returns ready once the signal is set. Until then, the current task is registered to be
    /// woken.
    ///
    /// The first poll takes a lock that all clones share. Later polls by the same task cost one atomic
    /// load.
    pub fn poll_set(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_registered = self
            .registration
            .as_ref()
            .is_some_and(|registration| registration.waker.will_wake(cx.waker()));
        // The flag is read after the registration: the signal may be set in between.
        if !is_registered && !self.is_set() {
            self.register(cx);
        }
        if self.is_set() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn register(&mut self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let registration = match &mut self.registration {
            Some(registration) => {
                registration.waker = waker;
                registration
            }
            None => self.registration.insert(Box::new(Registration {
                notified: Box::pin(self.shared.changed.clone().notified_owned()),
                waker,
            })),
        };
        // This is ready only if the signal was set after `notified` was created. The caller reads
        // the flag.
        let _ = registration.notified.as_mut().poll(cx);
    }
}

impl Clone for ShutdownSignal {
    /// Returns a handle to the same signal, which wakes no task yet.
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            registration: None,
        }
    }
}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownSignal")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::test_task::task;

    #[test]
    fn each_waiting_clone_wakes_its_task_once() {
        let signal = ShutdownSignal::new();
        let mut waiting: Vec<_> = (0..3).map(|_| (signal.clone(), task())).collect();
        for (clone, (_, waker)) in &mut waiting {
            let mut cx = Context::from_waker(waker);
            assert!(clone.poll_set(&mut cx).is_pending());
            assert!(clone.poll_set(&mut cx).is_pending());
        }
        signal.set();
        signal.set();
        for (clone, (wakes, waker)) in &mut waiting {
            assert_eq!(wakes.count(), 1);
            assert!(clone.poll_set(&mut Context::from_waker(waker)).is_ready());
            assert!(clone.poll_set(&mut Context::from_waker(waker)).is_ready());
        }
    }

    #[test]
    fn a_signal_that_moves_to_another_task_wakes_that_task_only() {
        let signal = ShutdownSignal::new();
        let mut moved = signal.clone();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        assert!(
            moved
                .poll_set(&mut Context::from_waker(&first_waker))
                .is_pending()
        );
        assert!(
            moved
                .poll_set(&mut Context::from_waker(&second_waker))
                .is_pending()
        );
        signal.set();
        assert_eq!((first.count(), second.count()), (0, 1));
    }

    #[test]
    fn a_clone_made_after_the_signal_was_set_is_ready_without_a_wake() {
        let signal = ShutdownSignal::new();
        signal.set();
        let (wakes, waker) = task();
        let mut late = signal.clone();
        assert!(late.is_set());
        assert!(late.poll_set(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!(wakes.count(), 0);
    }

    #[test]
    fn a_clone_of_a_waiting_signal_wakes_no_task() {
        let signal = ShutdownSignal::new();
        let (wakes, waker) = task();
        let mut waiting = signal.clone();
        assert!(
            waiting
                .poll_set(&mut Context::from_waker(&waker))
                .is_pending()
        );
        let copy = waiting.clone();
        drop(waiting);
        signal.set();
        assert_eq!(wakes.count(), 0);
        assert!(copy.is_set());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_task_misses_a_signal_that_is_set_while_it_registers() {
        for _ in 0..1000 {
            let signal = ShutdownSignal::new();
            let mut waiting = signal.clone();
            let waiting = tokio::spawn(async move { poll_fn(|cx| waiting.poll_set(cx)).await });
            signal.set();
            waiting.await.unwrap();
        }
    }
}
