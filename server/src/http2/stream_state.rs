//! The state of one stream, which its task, its response and the session of its WebSocket share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::load::Load;
use crate::deadline::Wait;
use crate::record::{ExchangeRecord, Outcome};
use crate::rejection::Rejection;

/// The progress of the output of a stream, as its task last saw it.
#[derive(Debug, Default)]
pub(super) struct OutputProgress {
    /// [`StreamState::progress`]. `None` until the stream waits for its client.
    own: Option<u64>,
    /// [`Load::written`] when the stream last made progress.
    written: u64,
    /// [`Load::unblocked`], until the connection has written a round without this stream.
    unblocked: u64,
}

impl OutputProgress {
    /// Returns a number that changes when the stream makes progress, and when the connection delays
    /// it.
    ///
    /// A full socket and a window of the connection that is used up delay every stream. They do not
    /// delay a stream for longer than a round. After that, the stream waits for its own window. A
    /// round has a bound in octets and not in time, because a client may take its output as slowly as
    /// it will.
    fn update(&mut self, own: u64, load: &Load) -> u64 {
        let written = load.written();
        if self.own != Some(own) {
            self.own = Some(own);
            self.written = written;
        }
        if written - self.written < load.round() {
            self.unblocked = load.unblocked();
        }
        own + self.unblocked
    }
}

/// The state of one stream. The stream counts as open on its connection until the state is dropped.
#[derive(Debug)]
pub(super) struct StreamState {
    load: Arc<Load>,
    is_recorded: bool,
    record: Mutex<Option<Box<ExchangeRecord>>>,
    /// The data frames of the response that hyper holds.
    frames: AtomicU32,
    /// See [`Self::progress`].
    progress: AtomicU64,
    /// Whether the response has started.
    has_started: AtomicBool,
    /// Whether the session of the stream's WebSocket has no further output.
    is_output_closed: AtomicBool,
    /// The task of the stream.
    task: AtomicWaker,
}

impl StreamState {
    /// Begins a stream.
    pub(super) fn begin(load: &Arc<Load>, record: Option<Box<ExchangeRecord>>) -> Arc<Self> {
        load.begin();
        Arc::new(Self {
            load: load.clone(),
            is_recorded: record.is_some(),
            record: Mutex::new(record),
            frames: AtomicU32::new(0),
            progress: AtomicU64::new(0),
            has_started: AtomicBool::new(false),
            is_output_closed: AtomicBool::new(false),
            task: AtomicWaker::new(),
        })
    }

    /// Returns the load of the stream's connection.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// Changes the record of the exchange, if there is one.
    pub(super) fn record(&self, change: impl FnOnce(&mut ExchangeRecord)) {
        if self.is_recorded
            && let Some(record) = &mut *self.lock_record()
        {
            change(record);
        }
    }

    /// Reports that the server rejects the request.
    #[cold]
    pub(super) fn report_rejected(&self, rejection: &Rejection) {
        let info = &self.load.info;
        let mut record = self.lock_record();
        (info.server).report_rejected(info.client, rejection, record.as_deref_mut());
    }

    /// Sets how the exchange ends once hyper holds nothing of its response.
    pub(super) fn set_outcome(&self, outcome: Outcome) {
        self.record(|record| record.outcome = outcome);
    }

    /// Takes the record of a handshake, which becomes that of its WebSocket.
    pub(super) fn take_record(&self) -> Option<Box<ExchangeRecord>> {
        self.lock_record().take()
    }

    fn lock_record(&self) -> MutexGuard<'_, Option<Box<ExchangeRecord>>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the task of the stream waits for.
    pub(super) fn wait(&self, progress: &mut OutputProgress) -> Wait {
        let is_output_closed = self.is_output_closed.load(Ordering::Relaxed);
        if !is_output_closed && self.frames.load(Ordering::Relaxed) == 0 {
            return Wait::Application;
        }
        let written = self.progress() / self.load.info.server.rates.output;
        Wait::Write(progress.update(written, &self.load))
    }

    /// Returns a number that changes when content of the response is written.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Records that the response has started.
    pub(super) fn start(&self) {
        self.has_started.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_started(&self) -> bool {
        self.has_started.load(Ordering::Relaxed)
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
        self.poll_until(cx, || self.is_written() || self.load.has_room())
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

    /// Records that octets of a data frame have been written. Returns whether the client has taken enough for
    /// the least rate.
    pub(super) fn frame_advances(&self, octets: usize) -> bool {
        let before = self.progress.fetch_add(octets as u64, Ordering::Relaxed);
        self.load.remove_unwritten(octets);
        self.load.release(octets);
        self.record(|record| record.octets_out += octets as u64);
        let least = self.load.info.server.rates.output;
        (before + octets as u64) / least > before / least
    }

    /// Records that hyper has dropped a data frame. `octets` of it have not been written.
    pub(super) fn frame_ends(&self, octets: usize) {
        self.load.remove_unwritten(octets);
        if octets > 0 {
            self.load.release(octets);
            self.record(|record| {
                if record.outcome == Outcome::Complete {
                    record.outcome = Outcome::ClientGone;
                }
            });
        }
        let was_last = self.frames.fetch_sub(1, Ordering::Release) == 1;
        self.progress.fetch_add(1, Ordering::Relaxed);
        if was_last {
            self.task.wake();
        }
    }
}

impl Drop for StreamState {
    fn drop(&mut self) {
        let record = self
            .record
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = record.take() {
            self.load.unflushed.end_exchange(record);
            self.load.wake();
        }
        self.load.end();
    }
}
