//! What a client does in one exchange.

use callgate::{ReceiveEvent, Scope, WebSocketDisconnect};

use super::{Ledger, resident_memory};

/// What the application is called with, and what comes then.
pub(crate) struct Plan {
    pub(crate) scope: Scope,
    /// What the client sends, in order.
    pub(crate) script: Box<dyn Iterator<Item = Cue> + Send>,
    /// The client is gone after this many events, received and sent.
    pub(crate) gone_after: Option<usize>,
    /// The client reads nothing more after it has taken this many events.
    pub(crate) stalls_after: Option<usize>,
    /// The exchange stands still after this many events, until the client is told to leave.
    pub(crate) freezes_after: Option<usize>,
    /// What the application is told when the client goes away.
    pub(crate) disconnect: ReceiveEvent,
    /// Whether every message gives way to what else can run.
    pub(crate) is_hesitant: bool,
    /// Whether shutdown waits until it is released.
    pub(crate) holds_shutdown: bool,
    /// What the application may hold.
    pub(crate) memory: Option<Memory>,
}

/// The next event, and when it may come.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    pub(crate) event: ReceiveEvent,
    /// Not before the application has sent this many events, unless it waits for this one; for a
    /// disconnect there is patience.
    pub(crate) after_sends: usize,
}

/// How much of what a client sends an application may hold.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) ledger: Ledger,
    /// In bytes.
    pub(crate) limit: usize,
    delivered: usize,
    /// The memory of the process at the beginning.
    at_first: Option<usize>,
    /// Whether the memory of the process has kept pace with what was delivered.
    is_growing: bool,
}

impl From<ReceiveEvent> for Cue {
    fn from(event: ReceiveEvent) -> Self {
        Self {
            event,
            after_sends: 0,
        }
    }
}

impl Plan {
    /// A call with this scope, and these events.
    pub(crate) fn new<I>(scope: impl Into<Scope>, script: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cue> + 'static,
        I::IntoIter: Send + 'static,
    {
        let scope = scope.into();
        let disconnect = match &scope {
            Scope::WebSocket(_) => {
                ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1006))
            }
            _ => ReceiveEvent::HttpDisconnect,
        };
        Self {
            scope,
            script: Box::new(script.into_iter().map(Into::into)),
            gone_after: None,
            stalls_after: None,
            freezes_after: None,
            disconnect,
            is_hesitant: false,
            holds_shutdown: false,
            memory: None,
        }
    }
}

/// Below this many bytes the memory of the process says nothing about one exchange.
const MEASURABLE: usize = 8 * 1024 * 1024;

impl Memory {
    /// As much as `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            limit,
            delivered: 0,
            at_first: None,
            is_growing: true,
        }
    }

    /// Notes that `length` bytes have been delivered, and looks at the memory of the process every
    /// now and then. Returns the growth, once it is certain that the application copies what it
    /// gets: when all has been delivered and memory has kept pace with it all the while.
    pub(super) fn delivered(&mut self, length: usize) -> Option<usize> {
        let before = self.delivered;
        self.delivered += length;
        if self.limit < MEASURABLE {
            return None;
        }
        if self.at_first.is_none() {
            self.at_first = resident_memory();
        }
        let step = (self.limit / 2).max(1);
        let has_stepped = before / step != self.delivered / step;
        if !has_stepped || self.delivered < self.limit * 2 {
            return None;
        }
        let growth = resident_memory()?.saturating_sub(self.at_first?);
        self.is_growing &= growth > self.delivered / 2;
        (self.is_growing && self.delivered >= self.limit * 4).then_some(growth)
    }
}
