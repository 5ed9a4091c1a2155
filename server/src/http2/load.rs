//! The exchanges in flight on a connection, and its output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::connection::ConnectionInfo;

/// The load of a connection, which its task, its socket and its exchanges share.
///
/// The exchanges run on tasks of their own. No other memory is ordered by these fields.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) info: ConnectionInfo,
    /// Exchanges whose response is not complete.
    running: AtomicU32,
    /// The number of exchanges that have begun, complete or not. The number wraps.
    begun: AtomicU32,
    /// Whether output waits to be written.
    is_writing: AtomicBool,
}

impl Load {
    pub(super) fn new(info: ConnectionInfo) -> Self {
        Self {
            info,
            running: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            is_writing: AtomicBool::new(false),
        }
    }

    /// Returns whether no exchange is in flight and no output waits.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_exchanging() && !self.is_writing.load(Ordering::Relaxed)
    }

    pub(super) fn is_exchanging(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of exchanges that have begun. The number changes with each exchange.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts an exchange that begins, until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Guard {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Guard(self.clone())
    }

    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }
}

/// Counts an exchange as in flight until hyper has taken its whole response.
#[derive(Debug)]
pub(super) struct Guard(Arc<Load>);

impl Guard {
    /// Returns the load of the exchange's connection.
    pub(super) fn load(&self) -> &Load {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
