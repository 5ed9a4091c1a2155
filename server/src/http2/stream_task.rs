//! The tasks of streams, which hyper's executor runs.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate_drive::task;
use hyper::rt::Executor;
use pin_project::pin_project;
use tokio_util::task::TaskTracker;

use super::stream_state::{OutputProgress, StreamState};
use crate::deadline::{Check, Deadline, Wait};
use crate::record::Outcome;
use crate::report;

tokio::task_local! {
    /// The stream that the present task runs. hyper creates the futures of streams around ours, and
    /// ours record their stream here when they are polled.
    static STREAM: RefCell<Option<Arc<StreamState>>>;
}

/// Records the stream of the present task, whose response is stalled when its content is not
/// written in time.
pub(super) fn set_stream(stream: &Arc<StreamState>) {
    // Outside of a stream's task there is no deadline to set.
    let _ = STREAM.try_with(|slot| *slot.borrow_mut() = Some(stream.clone()));
}

/// Runs the streams of connections as tracked tasks: a shutdown waits for a stream whose connection
/// has just ended, because its call may still be detached.
#[derive(Clone, Debug)]
pub(crate) struct StreamExecutor(pub(super) TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        // hyper runs the output of an open WebSocket as a second future of the same stream, and
        // creates this future while it polls the first.
        let stream = STREAM.try_with(|slot| slot.borrow().clone());
        let stream = stream.ok().flatten();
        task::spawn(self.0.track_future(StreamTask {
            future,
            is_second: stream.is_some(),
            stream,
            progress: OutputProgress::default(),
            deadline: None,
        }));
    }
}

/// Runs the future of one stream, and drops the future if the response is stalled.
#[pin_project]
struct StreamTask<F> {
    #[pin]
    future: F,
    is_second: bool,
    /// `None` until the future has recorded its stream.
    stream: Option<Arc<StreamState>>,
    progress: OutputProgress,
    /// Created when the stream waits for its client, which most streams never do.
    deadline: Option<Pin<Box<Deadline>>>,
}

impl<F: Future> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let slot = RefCell::new(this.stream.take());
        let is_done = STREAM.sync_scope(slot, || {
            let is_done = this.future.poll(cx).is_ready();
            *this.stream = STREAM.with(RefCell::take);
            is_done
        });
        if is_done {
            return Poll::Ready(());
        }
        let Some(stream) = this.stream else {
            return Poll::Pending;
        };
        if *this.is_second {
            stream.register(cx);
        }
        let wait = stream.wait(this.progress);
        if wait == Wait::Application && this.deadline.is_none() {
            return Poll::Pending;
        }
        let info = &stream.load().info;
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(Deadline::new()));
        loop {
            match ready!(deadline.as_mut().poll(wait, &info.server.config, cx)) {
                Check::Quiet => {}
                Check::Expired => {
                    info.server.limits.expired(wait);
                    report::failed(
                        info.client,
                        &"a stream is reset, because the client takes nothing",
                    );
                    stream.set_outcome(Outcome::TimedOut);
                    // hyper's future is dropped with the task, which resets the stream.
                    return Poll::Ready(());
                }
            }
        }
    }
}
