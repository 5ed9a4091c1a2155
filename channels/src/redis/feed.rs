//! The events of a topic on their way from Redis to its log.

use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::OnceCell;

use super::keys::Keys;
use super::wire::Entry;
use crate::backend::{EventLog, Topic, Wakeups};
use crate::sync::lock;
use crate::{GroupEvent, Missed, Sequence};

/// A topic that this process is subscribed to.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) topic: Topic,
    pub(super) keys: Keys,
    /// Is set when the log is.
    pub(super) attached: OnceCell<()>,
    log: OnceLock<Arc<EventLog>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The greatest number that Redis has announced.
    announced: Sequence,
    /// Whether a task reads the events that are missing in the log.
    is_fetching: bool,
}

/// What a task that fetches events does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fetch {
    /// Reads the events after a number, of a stream that has reached another.
    Read { after: Sequence, reached: Sequence },
    /// Nothing: the log is complete, or another task fetches.
    Nothing,
}

impl Feed {
    pub(super) fn new(topic: Topic, keys: Keys) -> Arc<Self> {
        Arc::new(Self {
            topic,
            keys,
            attached: OnceCell::new(),
            log: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    /// Returns the log, once the feed is attached.
    pub(super) fn log(&self) -> Option<&Arc<EventLog>> {
        self.log.get()
    }

    /// Sets the log.
    pub(super) fn attach(&self, log: Arc<EventLog>) {
        self.log.set(log).expect("a feed is attached once");
    }

    /// Receives an event from the channel. Returns whether events are missing before it, so that
    /// [`begin_fetch`](Self::begin_fetch) is to be called.
    pub(super) fn receive(&self, entry: Entry) -> bool {
        let mut state = lock(&self.state);
        state.announced = state.announced.max(entry.sequence);
        let Some(log) = self.log.get() else {
            return false;
        };
        let head = log.head();
        // The events between the log and a later event, or marker, are in the stream. An event whose predecessor the
        // log has passed says that the stream has lost what was before.
        if entry.previous > head {
            return !state.is_fetching;
        }
        let wakeups = append(log, head, entry);
        drop(state);
        drop(wakeups);
        false
    }

    /// Notes a number that Redis has announced. Returns whether the log has not reached it.
    pub(super) fn announce(&self, sequence: Sequence) -> bool {
        let mut state = lock(&self.state);
        state.announced = state.announced.max(sequence);
        let announced = state.announced;
        !state.is_fetching && self.log.get().is_some_and(|log| log.head() < announced)
    }

    /// Begins to fetch, unless another task fetches. A new connection fetches in any case: the other task may
    /// wait for an answer on the old one.
    pub(super) fn begin_fetch(&self, is_new_connection: bool) -> Fetch {
        let mut state = lock(&self.state);
        let Some(log) = self.log.get() else {
            return Fetch::Nothing;
        };
        if state.is_fetching && !is_new_connection {
            return Fetch::Nothing;
        }
        state.is_fetching = true;
        let after = log.head();
        let reached = state.announced.max(after);
        Fetch::Read { after, reached }
    }

    /// Appends events that were read from the stream. Returns what is to be read next, after `is_last` only
    /// if something is missing still.
    pub(super) fn append_fetched(&self, entries: Vec<Entry>, is_last: bool) -> Fetch {
        let mut state = lock(&self.state);
        let log = self.log.get().expect("only an attached feed fetches");
        let mut wakeups = Vec::new();
        for entry in entries {
            state.announced = state.announced.max(entry.sequence);
            let head = log.head();
            if entry.sequence > head {
                wakeups.extend(append(log, head, entry));
            }
        }
        let after = log.head();
        let next = if is_last && after >= state.announced {
            state.is_fetching = false;
            Fetch::Nothing
        } else {
            let reached = state.announced.max(after);
            Fetch::Read { after, reached }
        };
        drop(state);
        drop(wakeups);
        next
    }

    /// Gives up to fetch. The next connection fetches again.
    pub(super) fn end_fetch(&self) {
        lock(&self.state).is_fetching = false;
    }
}

/// Appends an event after a gap, if there is one.
fn append(log: &EventLog, head: Sequence, entry: Entry) -> Vec<Wakeups> {
    let mut wakeups = Vec::new();
    if let Some(missed) = gap_before(&entry, head) {
        wakeups.push(log.append_missed(missed.to));
    }
    if let Some(event) = entry.event {
        wakeups.push(log.append(event));
    }
    wakeups
}

/// Returns the gap between the number that was reached and the next event that the stream has.
fn gap_before(entry: &Entry, reached: Sequence) -> Option<Missed> {
    let to = if entry.event.is_none() {
        entry.sequence
    } else if entry.previous >= reached {
        entry.previous
    } else {
        entry.sequence.previous()
    };
    let from = reached.next();
    (from <= to).then_some(Missed { from, to })
}

/// Returns the events after a number up to the head of a log, with gaps, from what the stream has.
pub(super) fn backlog(after: Sequence, head: Sequence, entries: Vec<Entry>) -> Vec<GroupEvent> {
    let mut events = Vec::new();
    let mut reached = after;
    for entry in entries {
        if entry.sequence > head {
            break;
        }
        // Before the oldest event there is no gap for a subscriber from the beginning.
        if reached > Sequence::ZERO
            && let Some(missed) = gap_before(&entry, reached)
        {
            events.push(GroupEvent::Missed(missed));
        }
        reached = entry.sequence;
        events.extend(entry.event);
    }
    if Sequence::ZERO < reached && reached < head {
        let (from, to) = (reached.next(), head);
        events.push(GroupEvent::Missed(Missed { from, to }));
    }
    events
}
