//! The state machine of one exchange, which sees both sides.

mod conversation;
mod exchange_phase;
mod receive_order;
mod scope_rules;
mod send_attempt;

use std::time::{Duration, Instant};

use callgate::{AppError, ReceiveEvent, Scope, SendError, SendEvent, Violation, rule};

use conversation::Conversation;
pub(crate) use exchange_phase::ExchangePhase;
use receive_order::ReceiveOrder;
pub use scope_rules::scope_violations;
pub use send_attempt::SendAttempt;
use send_attempt::{application_violation, server_violation};

use crate::observe::ObservedEnd;

/// A server may drop a call that still runs this long after a disconnect (`CORE-13`), or after
/// `http.shutdown` (`EXT-20`).
const RETURN_LIMIT: Duration = Duration::from_secs(1);

/// Checks one exchange, both sides of it, against the rules of the protocol.
///
/// The model is shown everything that passes between a server and an application, in order. Each
/// method returns the rules that are broken; the [role](callgate::rule::Rule::role) of a rule says
/// which side broke it.
///
/// The conversations of the protocol ([`callgate::conversation`]) decide what an application may
/// send; the model decides what a server may yield and which result a send may have. A client can
/// disconnect at any moment, so a send may always fail with [`SendError::Disconnected`]. After that
/// every send has to fail.
///
/// ```
/// use callgate::{HttpResponseBody, HttpScope, Scope, rule};
/// use callgate_conformance::Model;
/// use http::{Method, Uri};
///
/// let scope = Scope::from(HttpScope::new(Method::GET, Uri::from_static("/")));
/// let mut model = Model::new(&scope);
/// let body = HttpResponseBody::last("Hello").into();
/// let result = model.expected_result(&body);
/// let violations = model.sent(&body, &result);
/// assert_eq!(violations[0].rule, rule::START_FIRST);
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    conversation: Conversation,
    receive_order: ReceiveOrder,
    /// Whether the application has received or sent anything.
    has_acted: bool,
    /// The time at which the application learned that the client has disconnected.
    disconnected_at: Option<Instant>,
    /// Whether the model checks no further sends: a send had a wrong result, which leaves the state
    /// of the exchange unknown, or the kind of scope is unknown.
    is_inconclusive: bool,
    /// The `content-length` of the response, which the file of a path send has to have.
    declared_length: u64,
    /// The time at which the application received `http.shutdown`.
    shutdown_at: Option<Instant>,
    /// Grows with everything that is shown to the model.
    revision: u64,
}

impl Model {
    /// Creates the model of an exchange with this scope. [`scope_violations`] checks the scope
    /// itself.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        Self {
            conversation: Conversation::new(scope),
            receive_order: ReceiveOrder::new(scope),
            has_acted: false,
            disconnected_at: None,
            is_inconclusive: false,
            declared_length: 0,
            shutdown_at: None,
            revision: 0,
        }
    }

    /// Returns the result that the application has to get if it sends `event` now. The model does
    /// not know whether the file of a path send can be opened.
    ///
    /// # Errors
    ///
    /// The error that the send has to fail with.
    pub fn expected_result(&self, event: &SendEvent) -> Result<(), SendError> {
        self.conversation.clone().send(event)
    }

    /// Returns the result that the application has to get if it sends a file of `length` bytes now,
    /// after [`expected_result`](Self::expected_result) allowed the path send.
    ///
    /// # Errors
    ///
    /// The error that the send has to fail with.
    pub fn expected_file_result(&self, length: u64) -> Result<(), SendError> {
        self.conversation.clone().file(length)
    }

    /// Notes that the server has lost its client: sends fail from now on, although the application
    /// has not received the disconnect.
    pub fn client_disconnected(&mut self) {
        self.revision += 1;
        self.conversation.disconnect();
    }

    /// Notes that the application has received `event`. Returns the rules that this breaks.
    pub fn received(&mut self, event: &ReceiveEvent) -> Vec<Violation> {
        self.revision += 1;
        self.has_acted = true;
        let violation = self.receive_order.received(event, &self.conversation);
        match event {
            ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) => {
                self.disconnected_at.get_or_insert_with(Instant::now);
                self.conversation.disconnect();
            }
            ReceiveEvent::HttpShutdown => self.shutdown_at = Some(Instant::now()),
            ReceiveEvent::LifespanShutdown => self.conversation.shutdown_received(),
            _ => {}
        }
        violation.into_iter().collect()
    }

    /// Begins a send, and returns the result that sending `event` must have.
    /// [`settle`](Self::settle) takes the attempt when the result is known; an attempt whose event
    /// was not sent is dropped.
    #[must_use]
    pub fn attempt(&self, event: &SendEvent) -> SendAttempt {
        SendAttempt::new(event, &self.conversation, self.revision)
    }

    /// Notes the result of an attempted send. Returns the rules that this breaks.
    ///
    /// Other events may pass between the attempt and the result of a path send, whose file is opened
    /// meanwhile. The result is right if it is right at either time.
    pub fn settle(
        &mut self,
        mut attempt: SendAttempt,
        result: &Result<(), SendError>,
    ) -> Vec<Violation> {
        if attempt.revision != self.revision {
            let renewed = attempt.clone().renewed(&self.conversation, self.revision);
            let is_wrong_now = server_violation(&renewed, result).is_some();
            if is_wrong_now && server_violation(&attempt, result).is_none() {
                return Vec::new();
            }
            attempt = renewed;
        }
        self.revision += 1;
        let mut violations = Vec::new();
        self.has_acted = true;
        if matches!(result, Err(SendError::Disconnected)) {
            self.disconnected_at.get_or_insert_with(Instant::now);
        }
        if self.is_inconclusive {
            return violations;
        }
        if let Conversation::Unknown = self.conversation {
            self.is_inconclusive = true;
            violations.push(Violation::new(
                rule::DECLINE_UNSUPPORTED,
                format!("`{}` was sent in an unknown kind of scope", attempt.name),
            ));
            return violations;
        }
        violations.extend(application_violation(&attempt, result));
        let has_wrong_length = match (&attempt.expected, result) {
            (Ok(()), Err(SendError::Violation(violation))) if attempt.path_send.is_some() => {
                self.note_wrong_length(violation)
            }
            _ => false,
        };
        if !has_wrong_length && let Some(violation) = server_violation(&attempt, result) {
            self.is_inconclusive = true;
            violations.push(violation);
        }
        match (&attempt.expected, result) {
            (Ok(()), Ok(())) => {
                if let Some(length) = attempt.declared_length {
                    self.declared_length = length;
                }
                if let Some(close) = attempt.close {
                    self.receive_order.closed(close);
                }
                self.conversation = attempt.next;
                if attempt.path_send.is_some() {
                    self.note_file();
                }
            }
            // The client may have disconnected before the rule was broken.
            (_, Err(SendError::Disconnected)) => self.conversation.disconnect(),
            (Err(SendError::Violation(_)), _) => self.conversation = attempt.next,
            _ => {}
        }
        violations
    }

    /// Notes that the application has sent `event` with this result:
    /// [`attempt`](Self::attempt) and [`settle`](Self::settle) in one call.
    pub fn sent(&mut self, event: &SendEvent, result: &Result<(), SendError>) -> Vec<Violation> {
        let attempt = self.attempt(event);
        self.settle(attempt, result)
    }

    /// Notes the end of the call, as an observer sees it. Returns the rules that this breaks.
    pub fn ended(&mut self, end: ObservedEnd<'_>) -> Vec<Violation> {
        match end {
            ObservedEnd::Returned(result) => self.returned(result),
            ObservedEnd::Panicked(message) => self.panicked(message),
            ObservedEnd::Dropped => self.dropped(),
        }
    }

    /// Notes that the call has returned. Returns the rules that this breaks.
    pub fn returned(&mut self, result: &Result<(), AppError>) -> Vec<Violation> {
        self.revision += 1;
        let was_broken = self.phase() == ExchangePhase::Broken;
        let is_serving = self.conversation.is_serving();
        let returned = self.conversation.returned();
        let is_unknown = matches!(self.conversation, Conversation::Unknown);
        let mut violations = Vec::new();
        match result {
            Err(AppError::Unsupported) if self.has_acted && !self.is_inconclusive => {
                violations.push(Violation::new(
                    rule::DECLINE_UNSUPPORTED,
                    "the application declined after it had received or sent",
                ));
            }
            Err(AppError::Unsupported) => {}
            _ if is_unknown && !self.is_inconclusive => violations.push(Violation::new(
                rule::DECLINE_UNSUPPORTED,
                "an unknown kind of scope was not declined",
            )),
            // The send that broke a rule has reported that rule.
            Ok(()) if !is_unknown && !was_broken && !self.is_inconclusive => {
                violations.extend(returned.err());
            }
            _ => {}
        }
        if is_serving {
            violations.push(Violation::new(
                rule::STAY_UNTIL_SHUTDOWN,
                "the lifespan call returned before shutdown",
            ));
        }
        violations
    }

    /// Notes that the call has panicked with this message. Returns the rules that this breaks.
    pub fn panicked(&mut self, message: &str) -> Vec<Violation> {
        self.revision += 1;
        // The panic is reported in place of the events that the call has not sent.
        let _ = self.conversation.returned();
        vec![Violation::new(
            rule::NO_PANIC,
            format!("the application panicked: {message}"),
        )]
    }

    /// Notes that the server has dropped the call before it ended. Returns the rules that this
    /// breaks.
    pub fn dropped(&mut self) -> Vec<Violation> {
        self.revision += 1;
        let phase = self.phase();
        let _ = self.conversation.returned();
        let (since, rule, event) = match (self.disconnected_at, self.shutdown_at) {
            _ if phase == ExchangePhase::Ended => return Vec::new(),
            (Some(since), _) => (since, rule::END_AFTER_DISCONNECT, "the disconnect"),
            (None, Some(since)) => (since, rule::SHUTDOWN_ENDS_RESPONSE, "`http.shutdown`"),
            (None, None) => return Vec::new(),
        };
        let elapsed = since.elapsed();
        if elapsed <= RETURN_LIMIT {
            return Vec::new();
        }
        let detail = format!("the call was still running {elapsed:.1?} after {event}");
        vec![Violation::new(rule, detail)]
    }

    pub(crate) fn phase(&self) -> ExchangePhase {
        self.conversation.phase()
    }

    /// Returns whether a lifespan has started up and not shut down.
    pub(crate) fn is_serving(&self) -> bool {
        self.conversation.is_serving()
    }

    /// Returns whether the WebSocket handshake, or the start-up, has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.conversation.is_answered()
    }

    /// Returns whether the last of the request's content has been received.
    pub(crate) fn is_request_complete(&self) -> bool {
        self.receive_order.is_request_complete()
    }

    /// Returns whether a WebSocket is open.
    pub(crate) fn is_open(&self) -> bool {
        self.conversation.is_open()
    }

    /// Notes that the server has sent a file as the content. Only the server knows the length of the
    /// file, and it has compared the length with the head of the response.
    fn note_file(&mut self) {
        for length in [self.declared_length, 0] {
            let mut ended = self.conversation.clone();
            if ended.file(length).is_ok() {
                self.conversation = ended;
                return;
            }
        }
        self.is_inconclusive = true;
    }

    /// Returns whether `violation` is about the length of a file, which only the server knows, and
    /// notes it if so.
    fn note_wrong_length(&mut self, violation: &Violation) -> bool {
        for length in [u64::MAX, 0] {
            let mut next = self.conversation.clone();
            let error = next.file(length).err();
            if error.and_then(|error| error.rule()) == Some(violation.rule) {
                self.conversation = next;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use callgate::{Feature, Features, HttpRequestBody, HttpScope};
    use http::Method;

    use super::*;

    #[test]
    fn a_call_that_is_dropped_long_after_the_disconnect_or_the_shutdown_breaks_a_rule() {
        let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
        scope.features = Features::NONE.with(Feature::Shutdown);
        for (event, rule) in [
            (ReceiveEvent::HttpDisconnect, rule::END_AFTER_DISCONNECT),
            (ReceiveEvent::HttpShutdown, rule::SHUTDOWN_ENDS_RESPONSE),
        ] {
            let mut model = Model::new(&scope.clone().into());
            let request = ReceiveEvent::HttpRequestBody(HttpRequestBody::default());
            assert!(model.received(&request).is_empty());
            assert!(model.received(&event).is_empty());
            assert!(model.clone().dropped().is_empty());
            std::thread::sleep(RETURN_LIMIT + Duration::from_millis(1));
            let violations = model.dropped();
            assert_eq!(violations.len(), 1);
            assert_eq!(violations[0].rule, rule);
        }
    }
}
