//! Goes on with the calls whose channel has something for them.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use pyo3::Python;

use super::call::Call;

/// The calls that go on in this turn.
///
/// The wakers of a channel put the call here, and do nothing else: they may be woken on any thread, inside of the server
/// or of another call.
#[derive(Debug, Default)]
pub(crate) struct Resumer(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    calls: Vec<Arc<Call>>,
    waker: Option<Waker>,
    is_closed: bool,
}

impl Resumer {
    pub(super) fn push(&self, call: Arc<Call>) {
        let waker = {
            let mut queue = self.lock();
            queue.calls.push(call);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Resumes the calls of the queue at each poll, until it is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut calls = Vec::new();
        poll_fn::<(), _>(|cx| {
            {
                let mut queue = self.lock();
                if queue.is_closed {
                    return Poll::Ready(());
                }
                queue.waker = Some(cx.waker().clone());
                mem::swap(&mut queue.calls, &mut calls);
            }
            if !calls.is_empty() {
                Python::attach(|py| {
                    for call in calls.drain(..) {
                        call.resume(py);
                    }
                });
            }
            Poll::Pending
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
