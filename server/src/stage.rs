//! The stage of a server's life, and the means to wait for the next one.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use callgate_drive::ShutdownSignal;
use pin_project::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The stages of serving, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Connections are accepted and served.
    Serving,
    /// Exchanges in flight are completed. A connection begins one more at most.
    Draining,
    /// Connections and calls that still run are dropped.
    Ending,
}

/// The stage that a server is in.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    now: AtomicU8,
    /// Wake the tasks that wait for these stages. Each stage has its own, so that a task which has
    /// seen the server drain is not registered for that stage again and misses the next one.
    draining: Notify,
    ending: Notify,
    /// The signal for exchanges, which is set when the server begins to drain.
    pub(crate) shutdown: ShutdownSignal,
}

impl Stages {
    pub(crate) fn now(&self) -> Stage {
        match self.now.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Ending,
        }
    }

    /// Advances to `stage`. The stage never goes back.
    pub(crate) fn advance(&self, stage: Stage) {
        if self.now.fetch_max(stage as u8, Ordering::AcqRel) < stage as u8 {
            self.shutdown.set();
            self.draining.notify_waiters();
            if stage == Stage::Ending {
                self.ending.notify_waiters();
            }
        }
    }

    /// Returns a watch, for a task that polls other things as well.
    pub(crate) fn watch(&self) -> StageWatch<'_> {
        StageWatch {
            stages: self,
            seen: Stage::Serving,
            next: self.draining.notified(),
            is_registered: false,
        }
    }

    /// Waits until the server has reached `stage`. Every poll but the first costs an atomic load.
    pub(crate) async fn reached(&self, stage: Stage) {
        let mut watch = pin!(self.watch());
        poll_fn(|cx| {
            let _ = watch.as_mut().poll_new(cx);
            match watch.seen() >= stage {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Shows each stage once to a task. A poll costs an atomic load.
#[pin_project]
#[derive(Debug)]
pub(crate) struct StageWatch<'a> {
    stages: &'a Stages,
    seen: Stage,
    /// The stage after the one that was seen last.
    #[pin]
    next: Notified<'a>,
    /// Whether the task is registered in `next`.
    is_registered: bool,
}

impl StageWatch<'_> {
    /// Returns the stage that was seen last.
    pub(crate) fn seen(&self) -> Stage {
        self.seen
    }

    /// Returns the stage if this watch has not returned it yet. Otherwise the task is woken at the
    /// next stage. Each poll must come from the same task.
    pub(crate) fn poll_new(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Stage> {
        let mut this = self.project();
        if !*this.is_registered {
            *this.is_registered = this.next.as_mut().poll(cx).is_pending();
        }
        let now = this.stages.now();
        if now == *this.seen {
            return None;
        }
        *this.seen = now;
        *this.is_registered = false;
        this.next.set(this.stages.ending.notified());
        // The next poll registers the task again.
        cx.waker().wake_by_ref();
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicU8);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls a watch at once when the signal of the shutdown is set, as a task on another thread may.
    struct PollsAtOnce(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>, Arc<Wakes>);

    impl Wake for PollsAtOnce {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(self.1.clone());
            let mut cx = Context::from_waker(&waker);
            let mut reached = self.0.lock().unwrap();
            // The first poll sees that the server drains, and the second registers the task again.
            assert!(reached.as_mut().poll(&mut cx).is_pending());
            assert!(reached.as_mut().poll(&mut cx).is_pending());
        }
    }

    #[test]
    fn a_task_that_sees_a_stage_before_it_is_woken_is_woken_at_the_next_stage() {
        let stages = Arc::new(Stages::default());
        let wakes = Arc::new(Wakes::default());
        let waiting = stages.clone();
        let reached = Box::pin(async move { waiting.reached(Stage::Ending).await });
        let task = Arc::new(PollsAtOnce(Mutex::new(reached), wakes.clone()));
        let mut shutdown = stages.shutdown.clone();
        let waker = Waker::from(task.clone());
        assert!(
            shutdown
                .poll_set(&mut Context::from_waker(&waker))
                .is_pending()
        );
        stages.advance(Stage::Draining);
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(task.0.lock().unwrap().as_mut().poll(&mut cx).is_pending());
        wakes.0.store(0, Ordering::SeqCst);
        stages.advance(Stage::Ending);
        assert!(
            wakes.0.load(Ordering::SeqCst) > 0,
            "the task sleeps for ever"
        );
        assert!(task.0.lock().unwrap().as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn a_task_that_waits_for_a_stage_is_woken_at_each_stage_up_to_it() {
        let stages = Stages::default();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut ending = pin!(stages.reached(Stage::Ending));
        let has_woken = || wakes.0.swap(0, Ordering::SeqCst) > 0;
        assert!(ending.as_mut().poll(&mut cx).is_pending());
        assert!(!has_woken());
        stages.advance(Stage::Draining);
        assert!(has_woken());
        while ending.as_mut().poll(&mut cx).is_pending() && has_woken() {}
        // A stage that has been reached wakes no task again.
        stages.advance(Stage::Draining);
        assert!(!has_woken());
        stages.advance(Stage::Ending);
        assert!(has_woken());
        assert!(ending.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn exchanges_are_told_when_the_server_begins_to_drain() {
        let stages = Stages::default();
        let shutdown = stages.shutdown.clone();
        assert!(!shutdown.is_set());
        stages.advance(Stage::Draining);
        assert!(shutdown.is_set());
    }
}
