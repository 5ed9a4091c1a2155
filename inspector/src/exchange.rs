//! What an inspector keeps of an exchange.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callgate::{RequestScope, Scope, Violation};
use callgate_conformance::{CallEnd, RecordLine};
use http::Method;

/// The kind of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeKind {
    /// An HTTP request and its response.
    Http,
    /// A WebSocket, from its handshake.
    WebSocket,
    /// The start-up and the shutdown of the application.
    Lifespan,
    /// A kind that this version does not know.
    Other,
}

impl ExchangeKind {
    pub(crate) fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Http(_) => Self::Http,
            Scope::WebSocket(_) => Self::WebSocket,
            Scope::Lifespan(_) => Self::Lifespan,
            _ => Self::Other,
        }
    }
}

/// An exchange in a few values, as in a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The number of the exchange, from 1, in the order of the calls.
    pub number: u64,
    /// The kind.
    pub kind: ExchangeKind,
    /// The method of an HTTP request.
    pub method: Option<Method>,
    /// The path with the query, as the client has sent them. Empty for a lifespan.
    pub target: String,
    /// The time of the call.
    pub began: SystemTime,
    /// The time from the call to its end. `None` while it runs.
    pub duration: Option<Duration>,
    /// The status of the response. 101 for a WebSocket that was accepted, 403 for one that was refused.
    pub status: Option<u16>,
    /// How the call ended. `None` while it runs.
    pub end: Option<CallEnd>,
    /// The number of events that were received and sent.
    pub events: u64,
    /// The number of rules that were broken, by either side.
    pub violations: u64,
    /// The number of the exchange that this one replays.
    pub replay_of: Option<u64>,
}

/// An exchange with what is kept of its events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// The exchange in a few values.
    pub summary: Summary,
    /// What happened, in its order. The first is the call, with the scope.
    pub entries: Vec<Arc<Entry>>,
    /// The number of entries that were left out because the exchange has more than the
    /// [bounds](crate::Bounds) allow.
    pub left_out: u64,
    /// The number of entries before those that were left out.
    pub left_out_after: usize,
}

impl Exchange {
    /// Returns whether everything of the exchange is kept: all entries, and all of their contents.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_shortened = |entry: &Arc<Entry>| {
            matches!(
                &entry.kind,
                EntryKind::Line {
                    full_length: Some(_),
                    ..
                }
            )
        };
        self.left_out == 0 && !self.entries.iter().any(is_shortened)
    }

    /// Returns the scope with which the application was called.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.lines().find_map(|line| line.called.as_ref())
    }

    /// Returns what is kept of the calls, the events and the end, in the form of a recording.
    pub fn lines(&self) -> impl Iterator<Item = &RecordLine> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Line { line, .. } => Some(&**line),
            EntryKind::Broken(_) => None,
        })
    }
}

/// Something that happened in an exchange, with its time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The time since the call.
    pub at: Duration,
    /// What happened.
    pub kind: EntryKind,
}

/// Something that happened in an exchange.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EntryKind {
    /// The call, an event, or the end of the call.
    Line {
        /// The call, the event or the end, with credentials masked and a content shortened.
        line: Box<RecordLine>,
        /// How long the send waited for room, because the client did not take what was sent before.
        waited: Duration,
        /// The length of the whole content in octets, if the content is shortened.
        full_length: Option<usize>,
    },
    /// A rule was broken.
    Broken(Violation),
}

/// Returns the path with the query, as the client has sent them.
pub(crate) fn request_target(request: &RequestScope) -> String {
    match request.query() {
        "" => request.raw_path().to_owned(),
        query => format!("{}?{query}", request.raw_path()),
    }
}
