//! The tasks that the server has given up, and that have not ended.

use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long the shutdown of the lifespan waits for tasks that were cancelled. After a second signal, the server leaves the lifespan less
/// than a second.
pub(super) const CANCEL_TIMEOUT: Duration = Duration::from_millis(500);

/// The number of tasks that were cancelled and have not ended. The shutdown of the lifespan waits for them, because they
/// use what the lifespan closes.
#[derive(Debug, Default)]
pub(super) struct Cancelled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    number: usize,
    /// Those that have not ended in time are not waited for.
    is_over: bool,
    waker: Option<Waker>,
}

impl Cancelled {
    pub(super) fn add(&self) {
        self.lock().number += 1;
    }

    pub(super) fn remove(&self) {
        let waker = {
            let mut state = self.lock();
            state.number -= 1;
            match state.number {
                0 => state.waker.take(),
                _ => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Stops to wait.
    pub(super) fn give_up(&self) {
        let waker = {
            let mut state = self.lock();
            state.is_over = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns ready once all have ended, or are not waited for.
    pub(super) fn poll_none(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.number == 0 || state.is_over {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under this lock")
    }
}
