//! The newest events of a topic, which all its readers in this process share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use slab::Slab;
use tokio::sync::Notify;

use super::waiters::Waiters;
use crate::sync::lock;
use crate::{GroupEvent, Missed, Sequence, Settings};

/// The newest events of a topic in this process.
///
/// There is one log for each topic, and each [`Reader`](super::Reader) has only a position in it. An event is therefore
/// stored once, however many readers there are, and a reader that does not read costs nothing. A log is
/// bounded: its oldest events are removed, and a reader that has not read them gets a [`Missed`] in their
/// place.
#[derive(Debug)]
pub struct EventLog {
    max_events: usize,
    max_octets: usize,
    pub(super) state: Mutex<State>,
    /// Wakes the publishers that wait for readers.
    pub(super) room: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) events: VecDeque<GroupEvent>,
    octets: usize,
    /// The position of the first event. Positions are consecutive.
    pub(super) first: u64,
    /// The number up to which the log is complete.
    pub(super) head: Sequence,
    /// The number of the last event that was removed, or where the log started.
    pub(super) removed_to: Sequence,
    pub(super) readers: usize,
    pub(super) waiters: Waiters,
    /// The positions of the readers that publishers wait for.
    pub(super) awaited: Slab<u64>,
    pub(super) is_closed: bool,
}

/// The log has no room before a reader that publishers wait for has read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// The tasks to wake after an event. They are woken when this is dropped, which must be outside of locks.
#[derive(Debug)]
#[must_use = "the tasks are woken when this is dropped, which must be outside of locks"]
pub struct Wakeups(Slab<Waker>);

impl Drop for Wakeups {
    fn drop(&mut self) {
        for waker in self.0.drain() {
            waker.wake();
        }
    }
}

impl EventLog {
    /// Creates a log that knows of the events after `start`.
    #[must_use]
    pub fn new(start: Sequence, settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            max_events: settings.history_messages,
            max_octets: settings.history_octets,
            state: Mutex::new(State {
                events: VecDeque::new(),
                octets: 0,
                first: 0,
                head: start,
                removed_to: start,
                readers: 0,
                waiters: Waiters::default(),
                awaited: Slab::new(),
                is_closed: false,
            }),
            room: Notify::new(),
        })
    }

    /// Returns the number up to which the log is complete.
    #[must_use]
    pub fn head(&self) -> Sequence {
        lock(&self.state).head
    }

    /// Returns the number of readers.
    #[must_use]
    pub fn readers(&self) -> usize {
        lock(&self.state).readers
    }

    /// Appends an event whose number is greater than that of each event before, and ignores another.
    pub fn append(&self, event: GroupEvent) -> Wakeups {
        let mut state = lock(&self.state);
        if event.sequence() <= state.head || state.is_closed {
            return Wakeups(Slab::new());
        }
        self.push(&mut state, event)
    }

    /// Appends the event that `create` returns for the next number, and returns the number.
    ///
    /// # Errors
    ///
    /// Returns [`Full`] if `waits`, and a reader that publishers wait for has not read the oldest event,
    /// for which there would be no room. [`has_room`](Self::has_room) waits for the reader.
    pub fn append_next(
        &self,
        waits: bool,
        create: impl FnOnce(Sequence) -> GroupEvent,
    ) -> Result<(Sequence, Wakeups), Full> {
        let mut state = lock(&self.state);
        let sequence = state.head.next().max(Sequence::now());
        let event = create(sequence);
        if waits && !self.has_room_for(&state, event.len()) {
            return Err(Full);
        }
        Ok((sequence, self.push(&mut state, event)))
    }

    /// Waits until a reader has made room since this method was called.
    pub fn has_room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Appends a [`Missed`] for all numbers up to `to` that the log does not have.
    pub fn append_missed(&self, to: Sequence) -> Wakeups {
        let mut state = lock(&self.state);
        if to <= state.head || state.is_closed {
            return Wakeups(Slab::new());
        }
        let from = state.head.next();
        self.push(&mut state, GroupEvent::Missed(Missed { from, to }))
    }

    /// Ends all readers, after the events that they have not read.
    pub fn close(&self) -> Wakeups {
        let mut state = lock(&self.state);
        state.is_closed = true;
        self.room.notify_waiters();
        Wakeups(state.waiters.take())
    }

    fn push(&self, state: &mut State, event: GroupEvent) -> Wakeups {
        state.head = event.sequence();
        state.octets += event.len();
        state.events.push_back(event);
        while self.is_over(state, 0) && state.events.len() > 1 && !state.awaits_oldest() {
            let removed = state.events.pop_front().expect("more than one");
            state.octets -= removed.len();
            state.first += 1;
            state.removed_to = removed.sequence();
        }
        Wakeups(state.waiters.take())
    }

    fn has_room_for(&self, state: &State, octets: usize) -> bool {
        state.is_closed
            || state.events.is_empty()
            || !state.awaits_oldest()
            || (state.events.len() < self.max_events && !self.is_over(state, octets))
    }

    fn is_over(&self, state: &State, more_octets: usize) -> bool {
        state.events.len() > self.max_events || state.octets + more_octets > self.max_octets
    }
}

impl State {
    /// Returns the position after the last event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Returns whether a reader that publishers wait for has not read the oldest event.
    fn awaits_oldest(&self) -> bool {
        self.awaited
            .iter()
            .any(|(_, position)| *position <= self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn numbers_increase_when_the_clock_is_behind() {
        let ahead = Sequence::new(Sequence::now().get() + 3_600_000_000);
        let log = EventLog::new(ahead, &Settings::default());
        for number in [ahead.next(), ahead.next().next()] {
            let (sequence, _wakeups) = log
                .append_next(false, |sequence| {
                    let payload = "x".into();
                    GroupEvent::Message(Message { sequence, payload })
                })
                .expect("nobody waits");
            assert_eq!(sequence, number);
        }
    }
}
