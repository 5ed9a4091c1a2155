//! The load of a connection, which its task, its socket and its streams share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

use super::finished::FinishedResponses;
use super::unflushed_records::UnflushedRecords;
use super::windows::{FrameReader, Window};
use crate::connection::ConnectionInfo;
use crate::limit::Limit;

/// The content that h2 may hold for each stream, in octets: it takes a data frame of 64 KiB while it
/// holds less than as much.
const MAX_HELD: u64 = 128 * 1024;

/// The octets that one poll of a connection reads at most, before the other tasks of the thread run.
const MAX_READ_OF_POLL: u64 = 64 * 1024;

/// The load of a connection.
///
/// Two things delay all streams of a connection in one direction: its socket is *full* while the
/// system takes no output, and *relieved* when the system takes output again; a window of the
/// connection is *used up* while its sender may send nothing, and *reopened* when its receiver
/// extends the window. Output is *unblocked* when the socket is relieved, and when the client reopens
/// its window.
///
/// The streams run on tasks of their own. No other memory is ordered by these fields.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) info: ConnectionInfo,
    pub(super) finished: FinishedResponses,
    pub(super) unflushed: UnflushedRecords,
    /// The streams whose response has not been written.
    running: AtomicU32,
    /// The number of streams that have begun, finished or not. The number wraps.
    begun: AtomicU32,
    /// The octets of content that hyper holds for all streams.
    unwritten: AtomicUsize,
    /// Whether the socket holds output.
    is_writing: AtomicBool,
    /// The octets that the system has taken from the socket.
    written: AtomicU64,
    /// How often the socket has been relieved.
    relieved: AtomicU64,
    /// The octets that have been read from the socket.
    read: AtomicU64,
    /// The octets that had been read when the present poll of the connection began.
    read_before_poll: AtomicU64,
    /// The windows for what the server sends, and for what the client sends.
    send_window: Window,
    receive_window: Window,
    /// Whether hyper has closed the sending side of the socket, or the socket has failed.
    is_closed: AtomicBool,
    /// Whether new streams are refused.
    is_refusing: AtomicBool,
    /// The task of the connection.
    task: AtomicWaker,
}

impl Load {
    pub(super) fn new(info: ConnectionInfo) -> Self {
        Self {
            info,
            finished: FinishedResponses::default(),
            unflushed: UnflushedRecords::default(),
            running: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            unwritten: AtomicUsize::new(0),
            is_writing: AtomicBool::new(false),
            written: AtomicU64::new(0),
            relieved: AtomicU64::new(0),
            read: AtomicU64::new(0),
            read_before_poll: AtomicU64::new(0),
            send_window: Window::new(),
            receive_window: Window::new(),
            is_closed: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
            task: AtomicWaker::new(),
        }
    }

    /// Returns whether no stream is open and no output waits.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_streams() && !self.is_writing()
    }

    pub(super) fn has_streams(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of streams that have begun. The number changes with each stream.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts a stream that begins.
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a stream that ends. The last one wakes the task of the connection, which may have been
    /// waiting for it.
    pub(super) fn end(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake();
        }
    }

    /// Registers the task of the connection, which [`Self::wake`] wakes.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// Returns whether hyper may be given further content. A stream of which hyper holds nothing may exceed the
    /// bound by one data frame.
    pub(super) fn has_room(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) < self.info.server.config.http2.max_unwritten
    }

    pub(super) fn add_unwritten(&self, octets: usize) {
        self.unwritten.fetch_add(octets, Ordering::Relaxed);
    }

    pub(super) fn remove_unwritten(&self, octets: usize) {
        self.unwritten.fetch_sub(octets, Ordering::Relaxed);
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }

    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records that the socket, which was full, has taken output.
    pub(super) fn relieve(&self) {
        self.relieved.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often output has been unblocked.
    pub(super) fn unblocked(&self) -> u64 {
        self.relieved.load(Ordering::Relaxed) + self.send_window.reopened()
    }

    /// Returns the octets of output after which each stream that may send has sent: h2 serves the
    /// streams in turn.
    pub(super) fn round(&self) -> u64 {
        MAX_HELD * u64::from(self.info.server.config.http2.max_concurrent_streams)
    }

    /// Records output that the system has taken.
    pub(super) fn record_output(&self, frames: &mut FrameReader, octets: &[u8]) {
        self.written
            .fetch_add(octets.len() as u64, Ordering::Relaxed);
        let refused = frames.refused_heads();
        frames.read(octets, &self.send_window, &self.receive_window);
        if let Some(limit) = frames.take_goaway() {
            self.info.server.limits.reached(limit);
        }
        for _ in refused..frames.refused_heads() {
            self.info.server.limits.reached(Limit::RequestHead);
        }
    }

    /// Records input.
    pub(super) fn record_input(&self, frames: &mut FrameReader, octets: &[u8]) {
        self.read.fetch_add(octets.len() as u64, Ordering::Relaxed);
        frames.read(octets, &self.receive_window, &self.send_window);
    }

    /// Returns the octets that have been read from the socket.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Records that a poll of the connection begins.
    pub(super) fn begin_poll(&self) {
        self.read_before_poll.store(self.read(), Ordering::Relaxed);
    }

    /// Returns whether the present poll has read enough: the other tasks of the thread run first.
    pub(super) fn has_read_enough(&self) -> bool {
        self.read() - self.read_before_poll.load(Ordering::Relaxed) >= MAX_READ_OF_POLL
    }

    /// Returns the window for what the client sends.
    pub(super) fn receive_window(&self) -> &Window {
        &self.receive_window
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(super) fn set_closed(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.is_refusing.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.is_refusing.store(true, Ordering::Relaxed);
    }
}
