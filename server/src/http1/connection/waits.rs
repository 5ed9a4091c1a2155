//! The waits of a connection for its client, and how each of them ends.

use std::task::Context;
use std::time::Duration;

use bytes::BytesMut;
use callgate_http1::ResponseEncoder;

use super::Connection;
use crate::deadline::Wait;
use crate::http1::content::ContentError;
use crate::http1::end::End;
use crate::http1::incoming::Incoming;
use crate::http1::outgoing::Outgoing;
use crate::limit::Limit;
use crate::record::Outcome;
use crate::rejection::Rejection;

impl Connection {
    /// Returns what the connection waits for.
    pub(in crate::http1) fn wait(&self) -> Wait {
        if self.output.is_blocked() {
            return Wait::Write(self.output.written() / self.info.server.rates.output);
        }
        if !self.output.is_empty() {
            // The rest of the output waits for a file, and not for the client.
            return Wait::Application;
        }
        match (&self.outgoing, &self.incoming) {
            (Outgoing::None, Incoming::Head(decoder)) => {
                match decoder.buffered(&self.input.buffer) {
                    1.. => Wait::Head(self.requests),
                    0 if self.awaits_last_request => Wait::LastRequest,
                    0 if self.requests == 0 => Wait::FirstRequest,
                    0 => Wait::NextRequest(self.requests),
                }
            }
            (Outgoing::None, _) if self.awaits_last_request => Wait::LastRequest,
            (Outgoing::None, _) => Wait::SkippedContent(self.requests),
            (Outgoing::Exchange(_), incoming) if incoming.is_content_wanted() => {
                Wait::Content(self.input.read() / self.info.server.rates.content)
            }
            // A client that takes its response is there, though its content makes no progress.
            (_, incoming) if incoming.is_content_wanted() => {
                Wait::Content(self.input.read().wrapping_add(self.output.written()))
            }
            _ if self.input.is_ended() || self.has_hung_up => {
                Wait::HalfClosed(self.input.read().wrapping_add(self.output.written()))
            }
            _ => Wait::Application,
        }
    }

    /// Ends a wait that has taken too long. Returns the end of the connection, if it ends at once.
    pub(in crate::http1) fn expire(&mut self, wait: Wait, cx: &mut Context<'_>) -> Option<End> {
        self.info.server.limits.expired(wait);
        match wait {
            Wait::Application | Wait::Expectation | Wait::Activity(_) => None,
            Wait::FirstRequest => Some(End::Gone),
            Wait::HalfClosed(_) => Some(self.abandon(Outcome::ClientGone)),
            Wait::NextRequest(_) => Some(End::Done),
            Wait::LastRequest => {
                // The connection ends unless the request has arrived by now.
                self.awaits_last_request = false;
                self.responded = None;
                None
            }
            Wait::Write(_) => {
                self.abandon(Outcome::TimedOut);
                Some(End::Reset)
            }
            Wait::Head(_) => {
                let encoder = ResponseEncoder::for_malformed_request();
                self.reject(Rejection::too_slow(), encoder);
                None
            }
            Wait::Content(_) if self.incoming.has_content() => {
                self.incoming.fail_content(ContentError::TooSlow, cx);
                None
            }
            Wait::Content(_) | Wait::SkippedContent(_) => Some(End::Done),
        }
    }

    /// Ends the connection, because it buffers the most. A request without a response gets 503. Returns the
    /// end of the connection, if it ends at once.
    pub(in crate::http1) fn release_buffers(&mut self) -> Option<End> {
        if self.output.is_empty() && !matches!(self.outgoing, Outgoing::Content(_)) {
            let reason = "the server buffers too much";
            let rejection = Rejection::overloaded(reason, Duration::ZERO).limit(Limit::Buffered);
            self.input.buffer = BytesMut::new();
            self.reject(rejection, ResponseEncoder::for_malformed_request());
            return None;
        }
        self.info.server.end_buffered(self.info.client);
        self.abandon(Outcome::CutByServer);
        Some(End::Reset)
    }

    /// Returns the end of a connection that is given up, with this outcome of its exchanges. A client must
    /// see that its response is incomplete.
    pub(in crate::http1) fn abandon(&mut self, outcome: Outcome) -> End {
        if let Some(records) = &mut self.records {
            records.cut(outcome);
        }
        let is_incomplete =
            !self.output.is_empty() || matches!(self.outgoing, Outgoing::Content(_));
        match self.is_close_delimited && is_incomplete {
            true => End::Reset,
            false => End::Gone,
        }
    }
}
