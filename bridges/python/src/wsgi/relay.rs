//! What the threads and the server tell each other, for several exchanges at once.
//!
//! To tell it for each exchange would change threads twice a request, which costs more than a small application. So a task of
//! the server, that of the lifespan, [attends](Relay::attend): it wakes a thread when the server has handled all that was
//! ready, and it passes on what the threads have completed.
//!
//! While exchanges wait in the queue, a complete response waits for those of the exchanges behind it, until the queue is empty,
//! and at most for [`WINDOW`].

use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::pool::Pool;

/// The most time that a complete response waits for others. Tokio's timers have a resolution of one millisecond.
const WINDOW: Duration = Duration::from_millis(1);

/// Between the threads and the server.
#[derive(Debug, Default)]
pub(super) struct Relay(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Wakes the attendant; `None` while there is none.
    attendant: Option<Waker>,
    due: Due,
    /// Whether responses wait for others.
    is_window_open: bool,
}

/// What is to be told.
#[derive(Debug, Default)]
struct Due {
    /// Whether a thread is to be woken.
    thread: bool,
    /// Wake the tasks of the server whose responses are complete.
    complete: Vec<Waker>,
}

impl Due {
    fn tell(self, pool: &Pool) {
        if self.thread {
            pool.wake_thread();
        }
        self.complete.into_iter().for_each(Waker::wake);
    }
}

impl Relay {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under this lock")
    }

    /// Has a thread woken for what the server has put into the queue. Returns `false` if nobody attends.
    pub(super) fn ask_for_thread(&self) -> bool {
        let mut state = self.lock();
        let Some(attendant) = state.attendant.clone() else {
            return false;
        };
        let was_due = mem::replace(&mut state.due.thread, true);
        drop(state);
        if !was_due {
            attendant.wake();
        }
        true
    }

    /// Has the task of the server woken whose response is complete.
    pub(super) fn complete(&self, waker: Waker) {
        let mut state = self.lock();
        let Some(attendant) = state.attendant.clone() else {
            drop(state);
            waker.wake();
            return;
        };
        state.due.complete.push(waker);
        let is_window_open = state.is_window_open;
        drop(state);
        if !is_window_open {
            attendant.wake();
        }
    }

    /// Passes on what is complete, because a thread has nothing more to do.
    pub(super) fn flush(&self) {
        let state = self.lock();
        let attendant = match state.due.complete.is_empty() {
            true => None,
            false => state.attendant.clone(),
        };
        drop(state);
        if let Some(attendant) = attendant {
            attendant.wake();
        }
    }

    /// Begins to attend. `None` outside of a runtime of Tokio, whose timers this needs.
    pub(super) fn attend(pool: &Pool) -> Option<Attendant<'_>> {
        Handle::try_current().ok()?;
        Some(Attendant {
            pool,
            window: Box::pin(sleep_until(Instant::now())),
            is_open: false,
            is_used: false,
        })
    }
}

/// Tells what is to be told, whenever it is polled. When it is dropped, it tells the rest, and then nothing waits any more.
#[derive(Debug)]
pub(super) struct Attendant<'a> {
    pool: &'a Pool,
    /// Ends when the window closes.
    window: Pin<Box<Sleep>>,
    is_open: bool,
    /// Whether responses have come since the window was opened.
    is_used: bool,
}

impl Attendant<'_> {
    /// Tells what there is, and has the task woken when there is more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        loop {
            let due = {
                let mut state = self.pool.relay.lock();
                let is_known = |waker: &Waker| waker.will_wake(cx.waker());
                if !state.attendant.as_ref().is_some_and(is_known) {
                    state.attendant = Some(cx.waker().clone());
                }
                mem::take(&mut state.due)
            };
            self.is_used |= !due.complete.is_empty();
            due.tell(self.pool);
            if self.is_open && self.window.as_mut().poll(cx).is_pending() {
                return;
            }
            // Where no responses come, or nothing comes behind them, none has to wait.
            self.is_open = mem::take(&mut self.is_used) && self.pool.has_waiting() && {
                self.window.as_mut().reset(Instant::now() + WINDOW);
                self.window.as_mut().poll(cx).is_pending()
            };
            let mut state = self.pool.relay.lock();
            state.is_window_open = self.is_open;
            if self.is_open || state.due.complete.is_empty() {
                return;
            }
            // Responses have come that counted on the window.
        }
    }
}

impl Drop for Attendant<'_> {
    fn drop(&mut self) {
        let State { due, .. } = mem::take(&mut *self.pool.relay.lock());
        due.tell(self.pool);
    }
}
