//! The state that the parts of one connection share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::context::ServerContext;
use crate::websocket::AcceptedWebSocket;

/// The state is shared by a connection's socket, its service and the task that drives both.
///
/// All of them run on one task, except for the exchanges of an HTTP/2 connection and for detached
/// calls, which may leave content unread at any time. The fields are atomic because of these; no
/// other memory is ordered by them. Where only one task writes a field, it is stored to, which is
/// cheaper than a read-modify-write.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: Arc<ServerContext>,
    /// The address of the client. `None` for a Unix socket, as for `address`.
    pub(crate) client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub(crate) address: Option<SocketAddr>,
    /// Exchanges that are not complete.
    running: AtomicU32,
    /// Whether exchanges run on tasks of their own (HTTP/2).
    is_multiplexed: AtomicBool,
    /// The number of exchanges that have begun, complete or not. The number wraps.
    begun: AtomicU32,
    /// Whether output waits to be written.
    writing: AtomicBool,
    /// Whether there is gathered output, which hyper regards as flushed.
    gathered: AtomicBool,
    /// Whether input has come since the last exchange began.
    has_input: AtomicBool,
    /// Whether the running exchange ends with the next output (HTTP/1).
    answered: AtomicBool,
    is_close_delimited: AtomicBool,
    /// The turn in which content was last left unread; 0 for none.
    left_unread: AtomicUsize,
    /// Turns of hyper over HTTP/1: the number of times that it has been polled, plus one. The
    /// number wraps.
    turn: AtomicUsize,
    /// The WebSocket that this HTTP/1.1 connection is about to become.
    upgrade: Mutex<Option<AcceptedWebSocket>>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// An exchange is running, or output waits to be written.
    Busy,
    /// A part of a request's head has come.
    ReadingHead,
    /// The connection is idle.
    Idle,
}

impl Link {
    pub(crate) fn new(
        server: Arc<ServerContext>,
        client: Option<SocketAddr>,
        address: Option<SocketAddr>,
    ) -> Self {
        Self {
            server,
            client,
            address,
            running: AtomicU32::new(0),
            is_multiplexed: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            writing: AtomicBool::new(false),
            gathered: AtomicBool::new(false),
            has_input: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            is_close_delimited: AtomicBool::new(false),
            left_unread: AtomicUsize::new(0),
            turn: AtomicUsize::new(1),
            upgrade: Mutex::new(None),
        }
    }

    pub(crate) fn activity(&self) -> Activity {
        if self.is_exchanging() || self.writing.load(Ordering::Relaxed) {
            Activity::Busy
        } else if self.has_input.load(Ordering::Relaxed) {
            Activity::ReadingHead
        } else {
            Activity::Idle
        }
    }

    pub(crate) fn is_exchanging(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of exchanges that have begun. The number changes with each exchange.
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Records that this is an HTTP/2 connection, before its first exchange.
    pub(crate) fn set_multiplexed(&self) {
        self.is_multiplexed.store(true, Ordering::Relaxed);
    }

    /// Adds `change`, which wraps: one is subtracted by adding the greatest number.
    fn change_running(&self, change: u32) {
        if self.is_multiplexed.load(Ordering::Relaxed) {
            self.running.fetch_add(change, Ordering::Relaxed);
        } else {
            let running = self.running.load(Ordering::Relaxed);
            self.running
                .store(running.wrapping_add(change), Ordering::Relaxed);
        }
    }

    pub(crate) fn exchange_begins(&self) {
        self.change_running(1);
        // Only the connection's own task begins exchanges.
        let begun = self.begun().wrapping_add(1);
        self.begun.store(begun, Ordering::Relaxed);
        self.has_input.store(false, Ordering::Relaxed);
    }

    pub(crate) fn exchange_ends(&self) {
        // Input that has arrived until now is taken for content of the request.
        self.has_input.store(false, Ordering::Relaxed);
        self.change_running(1_u32.wrapping_neg());
    }

    /// Records that the response of the running exchange is complete. hyper writes it next.
    pub(crate) fn set_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Records that hyper writes.
    pub(crate) fn output_begins(&self) {
        if self.answered.load(Ordering::Relaxed) {
            self.answered.store(false, Ordering::Relaxed);
            self.exchange_ends();
        }
        self.set_writing(true);
    }

    pub(crate) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    pub(crate) fn set_gathered(&self, gathered: bool) {
        self.gathered.store(gathered, Ordering::Relaxed);
    }

    pub(crate) fn has_gathered(&self) -> bool {
        self.gathered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_has_input(&self, has_input: bool) {
        self.has_input.store(has_input, Ordering::Relaxed);
    }

    /// Records whether the end of the connection may delimit the response (HTTP/1.0).
    pub(crate) fn set_close_delimited(&self, is_close_delimited: bool) {
        self.is_close_delimited
            .store(is_close_delimited, Ordering::Relaxed);
    }

    pub(crate) fn is_close_delimited(&self) -> bool {
        self.is_close_delimited.load(Ordering::Relaxed)
    }

    /// Records that hyper is about to be polled.
    pub(crate) fn turn_begins(&self) {
        let turn = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        self.turn.store(turn, Ordering::Relaxed);
    }

    /// Records that the rest of the content will not be read.
    pub(crate) fn content_is_left(&self) {
        let turn = self.turn.load(Ordering::Relaxed);
        self.left_unread.store(turn, Ordering::Relaxed);
    }

    /// Returns whether hyper has not been polled since content was left unread. When hyper is
    /// polled, it reads the rest of the content if that has arrived, or reads nothing more from
    /// this connection.
    ///
    /// hyper must not have the whole response before that. Otherwise it reaches the end of the
    /// content later, reads the next request while it still writes this response, and puts `100
    /// Continue` or an error for that request into this response.
    pub(crate) fn has_content_to_skip(&self) -> bool {
        self.left_unread.load(Ordering::Relaxed) == self.turn.load(Ordering::Relaxed)
    }

    pub(crate) fn set_upgrade(&self, websocket: AcceptedWebSocket) {
        *self.upgrade.lock().expect("never held across a panic") = Some(websocket);
    }

    pub(crate) fn take_upgrade(&self) -> Option<AcceptedWebSocket> {
        self.upgrade
            .lock()
            .expect("never held across a panic")
            .take()
    }
}
