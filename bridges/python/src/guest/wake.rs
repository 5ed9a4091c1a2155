//! What wakes the guest.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

use rustix::fs::{OFlags, fcntl_setfl};

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// The waker of the tasks of a guest. It records that a task can run.
///
/// While the thread of the guest is [`Inside`], no more is needed: the server asks [`is_set`](Self::is_set) before it returns
/// to Python. Otherwise a pipe wakes the event loop.
#[derive(Debug)]
pub(super) struct Wake {
    is_set: AtomicBool,
    pipe: io::PipeWriter,
}

impl Wake {
    pub(super) fn new() -> io::Result<(io::PipeReader, Self)> {
        let (reader, pipe) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let is_set = AtomicBool::new(false);
        Ok((reader, Self { is_set, pipe }))
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Forgets that a task can run.
    pub(super) fn take(&self) {
        self.is_set.swap(false, Ordering::AcqRel);
    }
}

impl task::Wake for Wake {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        if !self.is_set.swap(true, Ordering::AcqRel) && !Inside::is_inside() {
            // A pipe that is full has woken the event loop already.
            let _ = (&self.pipe).write(&[0]);
        }
    }
}

/// Marks that this thread runs code of the server, and looks for woken tasks after it.
#[derive(Debug)]
pub(super) struct Inside(());

impl Inside {
    pub(super) fn new() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        Self(())
    }

    pub(super) fn is_inside() -> bool {
        INSIDE.get() > 0
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}
