//! Runs the steps of calls: the first one, and those for which the channel has something.
//!
//! A turn first reads all connections that have become readable. Then it runs the steps of their calls, and then it writes what
//! these have sent. An application such as FastAPI drives the code of the server out of the caches of the processor; in this
//! order, the server loads it again once for many requests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use callgate::{AppError, Scope};
use callgate_drive::{panic_message, turn};
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
    /// The last turn with a step.
    turn: u64,
    is_closed: bool,
}

/// What a call does next.
#[derive(Debug)]
enum Step {
    Begin(Arc<Call>, Scope),
    Resume(Arc<Call>),
}

impl Step {
    /// Takes the step. A panic ends its call only (rule `CORE-15`).
    fn run(self) {
        let (Self::Begin(call, _) | Self::Resume(call)) = &self;
        let taken = catch_unwind(AssertUnwindSafe(|| {
            Python::attach(|py| match &self {
                Self::Begin(call, scope) => call.begin(py, scope),
                // It may have gone on before its connection did.
                Self::Resume(call) if !call.is_queued() => {}
                Self::Resume(call) => call.resume(py),
            });
        }));
        if let Err(panic) = taken {
            let message = panic_message(&*panic);
            call.set_end(Err(AppError::failed(format!("a panic: {message}"))));
        }
    }
}

impl Steps {
    /// Returns whether a step is the first one of this turn. It is taken at once: with one client, there is no other.
    pub(super) fn is_first(&self) -> bool {
        let turn = guest::turn();
        mem::replace(&mut self.lock().turn, turn) != turn
    }

    /// Has a call begin.
    pub(super) fn begin(&self, call: Arc<Call>, scope: Scope) {
        if self.is_first() {
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
        let (waker, _refused) = {
            let mut queue = self.lock();
            if queue.is_closed {
                (None, Some(step))
            } else {
                queue.steps.push_back(step);
                (queue.waker.take(), None)
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the next step; `None` once the queue is closed.
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Step>> {
        let mut queue = self.lock();
        if queue.is_closed {
            return Poll::Ready(None);
        }
        let step = queue.steps.pop_front();
        if step.is_none() {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(step)
    }

    /// Runs the steps of the queue at each poll, until it is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut waits_for_others = false;
        poll_fn::<(), _>(|cx| {
            if mem::take(&mut waits_for_others) {
                turn::end_part();
            }
            let began = Instant::now();
            loop {
                let Some(step) = ready!(self.poll_next(cx)) else {
                    return Poll::Ready(());
                };
                step.run();
                // The connections write before the next step, which may take long.
                if began.elapsed() >= turn::LONGEST {
                    waits_for_others = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Ends [`run`](Self::run). No step is taken any more.
    pub(crate) fn close(&self) {
        let (waker, _steps) = {
            let mut queue = self.lock();
            queue.is_closed = true;
            (queue.waker.take(), mem::take(&mut queue.steps))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().expect("no panic under this lock")
    }
}
