//! The records of a connection's exchanges, until their responses have been written.

use std::collections::VecDeque;

use callgate::{HttpResponseStart, RequestScope};
use http::request::Parts;
use tracing::Span;

use super::output::Output;
use crate::connection::ConnectionInfo;
use crate::record::{ExchangeRecord, Outcome};

/// The records of the exchanges that have not ended, in the order of their requests.
#[derive(Debug)]
pub(super) struct Records {
    /// The record of the exchange that is being answered.
    current: Option<Box<ExchangeRecord>>,
    /// The exchanges whose response is in the output.
    unwritten: VecDeque<Unwritten>,
    /// The outcome of the exchanges whose response will not be written.
    cut: Outcome,
}

/// An exchange whose whole response has been encoded.
#[derive(Debug)]
struct Unwritten {
    record: Box<ExchangeRecord>,
    /// The outcome once the response has been written.
    outcome: Outcome,
    /// [`Output::written`] at the end of the response.
    end: u64,
}

impl Records {
    /// Returns the records of a connection; `None` if the server takes no records.
    pub(super) fn new(info: &ConnectionInfo) -> Option<Box<Self>> {
        info.server.takes_records.then(|| {
            Box::new(Self {
                current: None,
                unwritten: VecDeque::new(),
                cut: Outcome::ClientGone,
            })
        })
    }

    /// Begins the record of a request.
    pub(super) fn begin(&mut self, parts: &mut Parts, info: &ConnectionInfo) {
        self.current = ExchangeRecord::begin(Some(parts), info);
    }

    /// Begins the record of a request that is rejected, unless it has begun with the head.
    pub(super) fn reject(&mut self, info: &ConnectionInfo) {
        if self.current.is_none() {
            self.current = ExchangeRecord::begin(None, info);
        }
    }

    /// Returns the record of the request.
    pub(super) fn current(&mut self) -> Option<&mut ExchangeRecord> {
        self.current.as_deref_mut()
    }

    /// Records the scope for which the application is called, and returns the span of the exchange.
    pub(super) fn called(&mut self, scope: &RequestScope, is_websocket: bool) -> Span {
        match &mut self.current {
            Some(record) => record.called(scope, is_websocket),
            None => Span::none(),
        }
    }

    /// Records content of the request.
    pub(super) fn received(&mut self, octets: u64) {
        if let Some(record) = &mut self.current {
            record.octets_in += octets;
        }
    }

    pub(super) fn respond(&mut self, head: &mut HttpResponseStart) {
        if let Some(record) = &mut self.current {
            record.respond(head);
        }
    }

    /// Records that the response has been encoded, with `sent` octets of content.
    pub(super) fn end_response(&mut self, outcome: Outcome, sent: u64, output: &Output) {
        if let Some(mut record) = self.current.take() {
            record.octets_out = sent;
            let end = output.written().wrapping_add(output.len());
            self.unwritten.push_back(Unwritten {
                record,
                outcome,
                end,
            });
        }
    }

    /// Ends the exchanges whose response has been written. A stream of TLS holds what it has encrypted until
    /// it is flushed.
    pub(super) fn written(&mut self, output: &Output, is_secured: bool) {
        while let Some(first) = self.unwritten.front() {
            let is_written = output.is_empty() || !is_secured && first.missing(output) == 0;
            if !is_written {
                return;
            }
            if let Some(Unwritten {
                mut record,
                outcome,
                ..
            }) = self.unwritten.pop_front()
            {
                record.outcome = outcome;
            }
        }
    }

    /// Takes the record of a handshake, which becomes that of its WebSocket.
    pub(super) fn take(&mut self) -> Option<Box<ExchangeRecord>> {
        self.current.take()
    }

    /// Sets the outcome of the exchanges whose response will not be written.
    pub(super) fn cut(&mut self, outcome: Outcome) {
        self.cut = outcome;
    }

    /// Ends all exchanges with their connection. `sent` is the content of the present response that has been
    /// encoded, in octets.
    pub(super) fn end(mut self, sent: u64, output: &Output) {
        for Unwritten {
            mut record,
            outcome,
            end,
        } in self.unwritten.drain(..)
        {
            let missing = missing(end, output);
            record.octets_out = record.octets_out.saturating_sub(missing);
            record.outcome = match outcome {
                Outcome::Complete => self.cut,
                other => other,
            };
        }
        if let Some(mut record) = self.current.take() {
            record.octets_out = sent.saturating_sub(output.len());
            record.outcome = self.cut;
        }
    }
}

impl Unwritten {
    fn missing(&self, output: &Output) -> u64 {
        missing(self.end, output)
    }
}

/// Returns how many octets before the position `end` have not been written.
fn missing(end: u64, output: &Output) -> u64 {
    let behind = output
        .written()
        .wrapping_add(output.len())
        .wrapping_sub(end);
    output.len().saturating_sub(behind)
}
