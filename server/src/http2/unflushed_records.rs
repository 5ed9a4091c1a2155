//! The records of exchanges whose response hyper has, until the socket holds no output.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::{ExchangeRecord, Outcome};

/// The records of a connection whose response has been given to hyper as a whole.
///
/// hyper does not report when it has written a head without content, or the end of a stream. The connection
/// writes everything that hyper holds at its next poll, unless its socket is full.
#[derive(Debug, Default)]
pub(super) struct UnflushedRecords(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The records since the last poll.
    new: Vec<ExchangeRecord>,
    /// The records for which the connection is polled, or has been while its socket was full.
    polled: Vec<ExchangeRecord>,
    /// The outcome of the exchanges that are left at the end of the connection.
    end: Option<Outcome>,
}

impl UnflushedRecords {
    /// Takes the record of an exchange that is over but for the output that hyper still holds.
    pub(super) fn end_exchange(&self, mut record: Box<ExchangeRecord>) {
        let mut state = self.lock();
        match (record.outcome, state.end) {
            (Outcome::Complete, None) => return state.new.push(*record),
            (Outcome::Complete, Some(end)) => record.outcome = end,
            // The connection was not dropped for its client.
            (Outcome::ClientGone, Some(end)) if end != Outcome::Complete => record.outcome = end,
            _ => {}
        }
        // Without the lock, because the record is written to the log.
        drop(state);
        drop(record);
    }

    /// Called before the connection is polled.
    pub(super) fn begin_poll(&self) {
        let State { new, polled, .. } = &mut *self.lock();
        polled.append(new);
    }

    /// Called after a poll at whose end the socket held no output.
    pub(super) fn flushed(&self) {
        let flushed = std::mem::take(&mut self.lock().polled);
        drop(flushed);
    }

    /// Ends the exchanges with their connection: those whose response hyper has, with this outcome, and those
    /// that are still to come.
    pub(super) fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.end.get_or_insert(outcome);
        let State { new, polled, end } = &mut *state;
        let mut left = std::mem::take(new);
        left.append(polled);
        let end = end.unwrap_or(outcome);
        drop(state);
        for record in &mut left {
            record.outcome = end;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
