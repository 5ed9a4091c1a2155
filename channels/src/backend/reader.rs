//! A position in a log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::log::{EventLog, State};
use super::waiters::Registration;
use crate::sync::lock;
use crate::{GroupEvent, Missed, Sequence};

/// The most events that a reader takes at a time, so that it seldom locks the log.
const BATCH_EVENTS: usize = 32;

/// The bytes after which a reader takes no more events at a time: what a reader has taken is no longer bounded
/// by the log.
const BATCH_OCTETS: usize = 64 * 1024;

/// A reader of an [`EventLog`].
#[derive(Debug)]
pub struct Reader {
    log: Arc<EventLog>,
    cursor: Cursor,
    registration: Option<Registration>,
    /// The place in the log's list of readers that publishers wait for.
    awaited: Option<usize>,
}

/// How far a reader has read.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The position of the next event. The one before the first event stands for all before.
    position: u64,
    /// The number of the last event that was taken.
    seen: Sequence,
    /// Whether the event that was taken last is the gap of an overrun.
    has_overrun: bool,
}

impl EventLog {
    /// Returns a reader of the events that come after the last one.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        let mut state = lock(&self.state);
        let position = state.end();
        let seen = state.head;
        state.readers += 1;
        drop(state);
        Reader::new(Arc::clone(self), position, seen)
    }

    /// Returns a reader of the events after a number, which begins with a [`Missed`] if the log does not
    /// have all of them. For [`Sequence::ZERO`], the reader begins with the oldest event.
    ///
    /// # Errors
    ///
    /// Returns the number of the last event if the number is greater.
    pub fn reader_after(self: &Arc<Self>, after: Sequence) -> Result<Reader, Sequence> {
        let mut state = lock(&self.state);
        if after > state.head {
            return Err(state.head);
        }
        let (position, seen) = if after == Sequence::ZERO {
            (state.first, state.removed_to)
        } else if after < state.removed_to {
            // A position before the first event reads as a gap.
            (state.first.wrapping_sub(1), after)
        } else {
            let index = state
                .events
                .partition_point(|event| event.sequence() <= after);
            (state.first + index as u64, after)
        };
        state.readers += 1;
        drop(state);
        Ok(Reader::new(Arc::clone(self), position, seen))
    }

    /// Returns a reader of the events after a number, if the log has all of them.
    #[cfg(feature = "redis")]
    pub(crate) fn reader_if_kept(self: &Arc<Self>, after: Sequence) -> Option<Reader> {
        let removed_to = lock(&self.state).removed_to;
        // Events that are removed from now on are a gap.
        (after >= removed_to)
            .then(|| self.reader_after(after).ok())
            .flatten()
    }
}

impl Reader {
    fn new(log: Arc<EventLog>, position: u64, seen: Sequence) -> Self {
        Self {
            log,
            cursor: Cursor {
                position,
                seen,
                has_overrun: false,
            },
            registration: None,
            awaited: None,
        }
    }

    /// Returns the number of the last event that was taken, or where the reader started.
    pub(crate) fn seen(&self) -> Sequence {
        self.cursor.seen
    }

    /// Lets publishers wait until this reader has read.
    pub(crate) fn let_publishers_wait(&mut self) {
        let mut state = lock(&self.log.state);
        let position = self.cursor.position.max(state.first);
        self.awaited = Some(state.awaited.insert(position));
    }

    /// Returns whether the event that was taken last is the [`Missed`] in the place of events that the log has
    /// removed, because this reader was too slow to read them.
    pub(crate) fn has_overrun(&self) -> bool {
        self.cursor.has_overrun
    }

    /// Takes the next events. Returns the first, or `None` if the log is closed, and appends the others to `rest`,
    /// which is empty. `note` is called with the first, before it is copied to the caller: a copy is large enough that
    /// there had better be one only.
    pub(crate) fn poll_take(
        &mut self,
        rest: &mut VecDeque<GroupEvent>,
        note: impl FnOnce(&GroupEvent),
        cx: &mut Context<'_>,
    ) -> Poll<Option<GroupEvent>> {
        let mut guard = lock(&self.log.state);
        let state = &mut *guard;
        let unread = state.end().wrapping_sub(self.cursor.position);
        if unread == 1
            && self.awaited.is_none()
            && let Some(event) = state.events.back()
        {
            self.cursor = Cursor {
                position: self.cursor.position + 1,
                seen: event.sequence(),
                has_overrun: false,
            };
            note(event);
            return Poll::Ready(Some(event.clone()));
        }
        if unread == 0 {
            if state.is_closed {
                return Poll::Ready(None);
            }
            state.waiters.register(&mut self.registration, cx.waker());
            return Poll::Pending;
        }
        let first = self.cursor.take(state, rest);
        if let Some(key) = self.awaited {
            state.awaited[key] = self.cursor.position;
            drop(guard);
            self.log.room.notify_waiters();
        }
        if let Some(first) = &first {
            note(first);
        }
        Poll::Ready(first)
    }
}

impl Cursor {
    /// Takes the next events, of which there is one at least or which are a gap. Returns the first, and appends the
    /// others to `rest`.
    fn take(&mut self, state: &State, rest: &mut VecDeque<GroupEvent>) -> Option<GroupEvent> {
        let mut first = None;
        let behind = state.first.wrapping_sub(self.position);
        if behind != 0 && behind <= u64::MAX / 2 {
            first = Some(GroupEvent::Missed(Missed {
                from: self.seen.next(),
                to: state.removed_to,
            }));
            self.seen = state.removed_to;
            self.position = state.first;
        }
        self.has_overrun = first.is_some();
        let index = usize::try_from(self.position - state.first).unwrap_or(usize::MAX);
        let mut octets = 0;
        for event in state.events.range(index..).take(BATCH_EVENTS) {
            octets += event.len();
            self.position += 1;
            self.seen = event.sequence();
            push(&mut first, rest, event);
            if octets > BATCH_OCTETS {
                break;
            }
        }
        first
    }
}

/// Appends an event to the first one and those behind it; a gap that follows a gap becomes part of it.
fn push(first: &mut Option<GroupEvent>, rest: &mut VecDeque<GroupEvent>, event: &GroupEvent) {
    if let GroupEvent::Missed(more) = event
        && let Some(GroupEvent::Missed(gap)) = rest.back_mut().or(first.as_mut())
    {
        gap.to = more.to;
    } else if first.is_none() {
        *first = Some(event.clone());
    } else {
        rest.push_back(event.clone());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = lock(&self.log.state);
        state.readers -= 1;
        let waker = self
            .registration
            .take()
            .and_then(|registration| state.waiters.remove(registration));
        let awaited = self.awaited.take();
        if let Some(key) = awaited {
            state.awaited.remove(key);
        }
        drop(state);
        drop(waker);
        if awaited.is_some() {
            self.log.room.notify_waiters();
        }
    }
}
