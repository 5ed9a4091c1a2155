//! Runs the steps of calls: the first one, and those for which the channel has something.
//!
//! The steps of a turn run one after the other, behind the connections that have become readable, and before those that write
//! what the steps have sent. So the code of the server runs for many requests at a time: an application drives it out of the
//! caches of the processor.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Instant;

use callgate::Scope;
use callgate_drive::turn;
use pyo3::Python;

use super::call::Call;
use crate::guest;

/// The steps that calls take in this turn.
///
/// The wakers of a channel put a step here, and do nothing else: they may be woken on any thread, inside of the server
/// or of another call.
#[derive(Debug, Default)]
pub(crate) struct Steps(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    steps: VecDeque<Step>,
    waker: Option<Waker>,
    /// The last turn in which a call began.
    turn: u64,
    is_closed: bool,
}

/// What a call does next.
#[derive(Debug)]
enum Step {
    Begin(Arc<Call>, Scope),
    Resume(Arc<Call>),
}

impl Steps {
    /// Has a call begin. The first one of a turn begins at once, as there may be no other.
    pub(super) fn begin(&self, call: Arc<Call>, scope: Scope) {
        let turn = guest::turn();
        let is_first = mem::replace(&mut self.lock().turn, turn) != turn;
        if is_first {
            Python::attach(|py| call.begin(py, &scope));
        } else {
            self.push(Step::Begin(call, scope));
        }
    }

    /// Has a call go on.
    pub(super) fn resume(&self, call: Arc<Call>) {
        self.push(Step::Resume(call));
    }

    fn push(&self, step: Step) {
        let waker = {
            let mut queue = self.lock();
            queue.steps.push_back(step);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Runs the steps of the queue at each poll, until it is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        poll_fn::<(), _>(|cx| {
            let began = Instant::now();
            loop {
                let step = {
                    let mut queue = self.lock();
                    if queue.is_closed {
                        return Poll::Ready(());
                    }
                    let step = queue.steps.pop_front();
                    if step.is_none() {
                        queue.waker = Some(cx.waker().clone());
                    }
                    step
                };
                let Some(step) = step else {
                    return Poll::Pending;
                };
                Python::attach(|py| match step {
                    Step::Begin(call, scope) => call.begin(py, &scope),
                    Step::Resume(call) => call.resume(py),
                });
                // What has been sent leaves before the steps go on.
                if began.elapsed() >= turn::LONGEST {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Ends [`run`](Self::run).
    pub(crate) fn close(&self) {
        let waker = {
            let mut queue = self.lock();
            queue.is_closed = true;
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().expect("no panic under this lock")
    }
}
