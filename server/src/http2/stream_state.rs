//! The state of one stream, which its task, its response and the session of its WebSocket share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::load::Load;
use crate::deadline::Wait;

/// The state of one stream. The stream counts as open on its connection until the state is dropped.
#[derive(Debug)]
pub(super) struct StreamState {
    load: Arc<Load>,
    /// The data frames of the response that hyper holds.
    frames: AtomicU32,
    /// A number that changes when content of the response is written.
    progress: AtomicU64,
    /// Whether the session of the stream's WebSocket has no further output.
    is_output_closed: AtomicBool,
    /// The task of the stream.
    task: AtomicWaker,
}

impl StreamState {
    /// Only [`Load::begin`] calls this function.
    pub(super) fn new(load: Arc<Load>) -> Self {
        Self {
            load,
            frames: AtomicU32::new(0),
            progress: AtomicU64::new(0),
            is_output_closed: AtomicBool::new(false),
            task: AtomicWaker::new(),
        }
    }

    /// Returns the load of the stream's connection.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// Returns what the task of the stream waits for.
    pub(super) fn wait(&self) -> Wait {
        if self.is_output_closed.load(Ordering::Relaxed) {
            return Wait::Write(0);
        }
        match self.frames.load(Ordering::Relaxed) {
            0 => Wait::Application,
            // A full socket delays every stream, so its progress counts as progress of this stream.
            _ => Wait::Write(self.progress.load(Ordering::Relaxed) + self.load.relieved()),
        }
    }

    /// Registers the task of the stream for [`Self::close_output`].
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Records that the session of the stream's WebSocket has no further output.
    pub(super) fn close_output(&self) {
        self.is_output_closed.store(true, Ordering::Relaxed);
        self.task.wake();
    }

    /// Returns whether hyper holds no data frame of the response.
    pub(super) fn is_written(&self) -> bool {
        self.frames.load(Ordering::Acquire) == 0
    }

    /// Returns ready once hyper holds no data frame of the response.
    pub(super) fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_until(cx, || self.is_written())
    }

    /// Returns ready once hyper may be given a further data frame.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_until(cx, || self.is_written() || !self.load.is_full())
    }

    fn poll_until(&self, cx: &Context<'_>, is_ready: impl Fn() -> bool) -> Poll<()> {
        if is_ready() {
            return Poll::Ready(());
        }
        self.task.register(cx.waker());
        match is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Records that hyper has been given a data frame.
    pub(super) fn frame_begins(&self, octets: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.load.add_unwritten(octets);
    }

    /// Records that octets of a data frame have been written.
    pub(super) fn frame_advances(&self, octets: usize) {
        self.progress.fetch_add(octets as u64, Ordering::Relaxed);
        self.load.remove_unwritten(octets);
    }

    /// Records that hyper has dropped a data frame. `octets` of it have not been written.
    pub(super) fn frame_ends(&self, octets: usize) {
        self.load.remove_unwritten(octets);
        self.progress.fetch_add(1, Ordering::Relaxed);
        if self.frames.fetch_sub(1, Ordering::Release) == 1 {
            self.task.wake();
        }
    }
}

impl Drop for StreamState {
    fn drop(&mut self) {
        self.load.end();
    }
}
