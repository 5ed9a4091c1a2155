//! How far a server's life has come, for everything that must know.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

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
    /// What runs is finished; nothing new is taken.
    Draining,
    /// What still runs is dropped.
    Ending,
}

/// The stage that a server is in, and the means to wait for the next.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    now: AtomicU8,
    /// Set when the server begins to drain.
    pub(crate) shutdown: ShutdownSignal,
    changed: Notify,
}

impl Stages {
    pub(crate) fn now(&self) -> Stage {
        match self.now.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Ending,
        }
    }

    /// Goes on to `stage`; never back.
    pub(crate) fn advance(&self, stage: Stage) {
        self.now.fetch_max(stage as u8, Ordering::AcqRel);
        if stage >= Stage::Draining {
            self.shutdown.set();
        }
        self.changed.notify_waiters();
    }

    /// Tells a task that does other things of each change.
    pub(crate) fn watch(&self) -> StageWatch<'_> {
        StageWatch {
            stages: self,
            seen: Stage::Serving,
            changed: self.changed.notified(),
            is_listening: false,
        }
    }

    /// Waits until `stage` has been reached.
    pub(crate) async fn reached(&self, stage: Stage) {
        loop {
            let changed = self.changed.notified();
            if self.now() >= stage {
                return;
            }
            changed.await;
        }
    }
}

/// Shows a task each stage once. Looking costs an atomic load.
#[pin_project]
#[derive(Debug)]
pub(crate) struct StageWatch<'a> {
    stages: &'a Stages,
    seen: Stage,
    #[pin]
    changed: Notified<'a>,
    /// Whether `changed` knows whom to wake.
    is_listening: bool,
}

impl StageWatch<'_> {
    /// The last stage that has been seen.
    pub(crate) fn seen(&self) -> Stage {
        self.seen
    }

    /// The stage, if it has not been seen yet; else the task is woken when there is another. It has
    /// to be the same task each time.
    pub(crate) fn poll_new(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Stage> {
        let mut this = self.project();
        if !*this.is_listening {
            *this.is_listening = this.changed.as_mut().poll(cx).is_pending();
        }
        let now = this.stages.now();
        if now == *this.seen {
            return None;
        }
        *this.seen = now;
        *this.is_listening = false;
        this.changed.set(this.stages.changed.notified());
        // To listen again, whatever the task does next.
        cx.waker().wake_by_ref();
        Some(now)
    }
}
