//! The driver's policy for an application that does nothing.

use callgate::{ReceiveEvent, Violation, rule};

use super::exchange_state::ExchangeState;
use crate::driver::client_script::{ScriptedEvent, is_disconnect};
use crate::driver::time_budget::Awaited;
use crate::model::ExchangePhase;
use crate::scope_kind::ScopeKind;

/// The next step of the driver with an application that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum NextStep {
    /// The exchange has changed: the application can go on.
    Resume,
    /// The driver waits on.
    Wait,
    /// The call is dropped.
    Drop,
}

impl ExchangeState {
    /// Returns the event that the driver waits for.
    pub(super) fn awaited(&self) -> Awaited {
        match (self.kind, self.model.phase()) {
            (_, ExchangePhase::Ended) => Awaited::BackgroundWork,
            (ScopeKind::Http | ScopeKind::WebSocket, ExchangePhase::Open)
                if !self.is_disconnected && self.send_count_at_shutdown.is_none() =>
            {
                Awaited::Response
            }
            _ => Awaited::Obligation,
        }
    }

    /// Chooses the next step when no task can make progress.
    pub(super) fn on_quiescent(&mut self) -> NextStep {
        let is_over = self.model.phase() != ExchangePhase::Open;
        if self.is_disconnected || is_over || self.is_paused() {
            return NextStep::Wait;
        }
        if self.has_stopped_reading() && !self.send_wakers.is_empty() {
            self.disconnect();
            return NextStep::Resume;
        }
        if self.receive_waker.is_none() {
            return NextStep::Wait;
        }
        let send_count = self.send_count;
        // A disconnect or a shutdown does not come early: an application that receives may be about to
        // send.
        let can_come_early =
            |next: &ScriptedEvent| next.after_sends > send_count && !ends_stream(&next.event);
        if self.events.peek().is_some_and(can_come_early) && !self.is_next_event_due {
            self.is_next_event_due = true;
            self.wake();
            return NextStep::Resume;
        }
        let has_more = self.events.peek().is_some();
        match self.kind {
            // The application waits for an event, and the script has none.
            ScopeKind::WebSocket if !has_more && self.model.is_open() => {}
            ScopeKind::Http if !has_more && !self.model.is_request_complete() => {}
            _ => return NextStep::Wait,
        }
        self.disconnect();
        NextStep::Resume
    }

    /// Chooses the next step when the application has done nothing until the time budget was
    /// exhausted.
    pub(super) fn on_timeout(&mut self) -> NextStep {
        if self.is_paused() {
            return NextStep::Wait;
        }
        let phase = self.model.phase();
        let (rule, detail) = match self.kind {
            _ if phase == ExchangePhase::Ended => return NextStep::Drop,
            ScopeKind::Unknown => (
                rule::DECLINE_UNSUPPORTED,
                "an unknown kind of scope was not declined".to_owned(),
            ),
            // The violation has been reported, and the lifespan goes no further after it.
            ScopeKind::Lifespan if phase == ExchangePhase::Broken => return NextStep::Drop,
            ScopeKind::Lifespan if !self.model.is_answered() => (
                rule::STARTUP_IS_ANSWERED,
                "start-up was not answered".to_owned(),
            ),
            ScopeKind::Lifespan if self.holds_shutdown => return NextStep::Wait,
            ScopeKind::Lifespan => (
                rule::SHUTDOWN_IS_ANSWERED,
                "shutdown was not answered".to_owned(),
            ),
            ScopeKind::Http | ScopeKind::WebSocket
                if !self.is_disconnected && phase == ExchangePhase::Open =>
            {
                if self.approaches_end_of_stream() {
                    return NextStep::Wait;
                }
                if let Some(ReceiveEvent::HttpShutdown) = self.events.peek().map(|it| &it.event)
                    && !self.is_next_event_due
                {
                    self.is_next_event_due = true;
                    self.wake();
                    return NextStep::Resume;
                }
                self.check_shutdown();
                self.has_timed_out = true;
                self.disconnect();
                return NextStep::Resume;
            }
            ScopeKind::Http | ScopeKind::WebSocket => (
                rule::END_AFTER_DISCONNECT,
                format!(
                    "the application was still running long after the client had disconnected{}",
                    self.pending_operation()
                ),
            ),
        };
        self.log.push_violations([Violation::new(rule, detail)]);
        NextStep::Drop
    }

    /// Reports an application that has received `http.shutdown` and then receives or streams on.
    fn check_shutdown(&mut self) {
        let Some(send_count) = self.send_count_at_shutdown else {
            return;
        };
        if self.receive_waker.is_some() || self.send_count > send_count {
            self.log.push_violations([Violation::new(
                rule::SHUTDOWN_ENDS_RESPONSE,
                "the response did not end after `http.shutdown`",
            )]);
        }
    }

    /// Returns whether the application has sent more since the last timeout, and the script has a
    /// disconnect or a shutdown after still more sent events.
    fn approaches_end_of_stream(&mut self) -> bool {
        let send_count = self.send_count;
        let before = std::mem::replace(&mut self.send_count_at_timeout, send_count);
        let is_later =
            |next: &ScriptedEvent| ends_stream(&next.event) && next.after_sends > send_count;
        send_count > before && self.events.peek().is_some_and(is_later)
    }

    fn pending_operation(&self) -> &'static str {
        match (&self.receive_waker, self.send_wakers.is_empty()) {
            (_, false) => " (waiting to send)",
            (Some(_), true) => " (waiting to receive)",
            (None, true) => "",
        }
    }
}

/// Returns whether an application that streams for ever ends its stream at this event.
fn ends_stream(event: &ReceiveEvent) -> bool {
    is_disconnect(event) || matches!(event, ReceiveEvent::HttpShutdown)
}

#[cfg(test)]
mod tests {
    use callgate::{HttpResponseBody, HttpResponseStart, HttpScope};

    use super::*;
    use crate::driver::client_script::ClientScript;

    #[test]
    fn a_response_that_continues_is_awaited_up_to_the_disconnect_of_the_script() {
        let scope = HttpScope::new(http::Method::GET, "/".parse().unwrap());
        let disconnect = ScriptedEvent {
            event: ReceiveEvent::HttpDisconnect,
            after_sends: 3,
        };
        let (mut state, _) = ExchangeState::new(ClientScript::new(scope, [disconnect]));
        assert!(state.send(HttpResponseStart::ok().into()).is_ok());
        assert_eq!(state.on_timeout(), NextStep::Wait);
        assert!(state.send(HttpResponseBody::part("tick").into()).is_ok());
        assert_eq!(state.on_timeout(), NextStep::Wait);
        // Nothing has been sent since the last timeout.
        assert_eq!(state.on_timeout(), NextStep::Resume);
    }
}
