//! The result of one send: which results are right, and which side a wrong one is held against.

use callgate::{
    Feature, HttpResponsePathSend, SendError, SendEvent, Violation, WebSocketClose, rule,
};

use super::conversation::Conversation;
use super::exchange_phase::ExchangePhase;

/// A send that has begun, and the result that it has to have.
#[derive(Clone, Debug)]
pub struct SendAttempt {
    /// The conversation after the send.
    pub(super) next: Conversation,
    pub(super) expected: Result<(), SendError>,
    phase_before: ExchangePhase,
    pub(super) name: &'static str,
    pub(super) path_send: Option<HttpResponsePathSend>,
    pub(super) declared_length: Option<u64>,
    pub(super) close: Option<WebSocketClose>,
    /// The revision of the model when the send began.
    pub(super) revision: u64,
}

impl SendAttempt {
    pub(super) fn new(event: &SendEvent, conversation: &Conversation, revision: u64) -> Self {
        let mut next = conversation.clone();
        let expected = next.send(event);
        Self {
            next,
            expected,
            phase_before: conversation.phase(),
            name: event.type_name(),
            path_send: match event {
                SendEvent::HttpResponsePathSend(path_send) => Some(path_send.clone()),
                _ => None,
            },
            declared_length: match event {
                SendEvent::HttpResponseStart(start) => start
                    .headers
                    .get(http::header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok()),
                _ => None,
            },
            close: match event {
                SendEvent::WebSocketClose(close) => Some(close.clone()),
                _ => None,
            },
            revision,
        }
    }

    /// Returns the same attempt as of now. Only a path send can be renewed: the result of every other
    /// send is known before another event passes.
    pub(super) fn renewed(self, conversation: &Conversation, revision: u64) -> Self {
        match self.path_send {
            Some(path_send) => Self::new(&path_send.into(), conversation, revision),
            None => self,
        }
    }
}

/// Returns the rule that the application has broken with this send, unless the client may have
/// disconnected first.
pub(super) fn application_violation(
    attempt: &SendAttempt,
    result: &Result<(), SendError>,
) -> Option<Violation> {
    let is_disconnected = matches!(result, Err(SendError::Disconnected));
    match &attempt.expected {
        // The file of a path send does not fit the head of the response.
        Ok(()) if attempt.path_send.is_some() => match result {
            Err(SendError::Violation(violation)) => Some(violation.clone()),
            _ => None,
        },
        Err(SendError::Violation(violation)) => match attempt.phase_before {
            // The first violation has been reported; the sends after it fail because of it.
            ExchangePhase::Broken => None,
            ExchangePhase::Open if is_disconnected => None,
            _ => Some(violation.clone()),
        },
        Err(SendError::NotOffered(feature)) if !is_disconnected => Some(Violation::new(
            rule::NOT_OFFERED,
            format!("`{}` was used and is not offered", feature.name()),
        )),
        _ => None,
    }
}

/// Returns the rule that the server has broken with the result of this send.
pub(super) fn server_violation(
    attempt: &SendAttempt,
    result: &Result<(), SendError>,
) -> Option<Violation> {
    match &attempt.expected {
        Ok(()) => after_valid_event(attempt, result),
        Err(SendError::Disconnected) => after_disconnect(attempt, result),
        Err(SendError::Violation(expected)) => after_violation(attempt, expected, result),
        Err(SendError::NotOffered(feature)) => not_offered(attempt, *feature, result),
        Err(expected) => Some(unexpected(
            attempt,
            rule::NOT_OFFERED_FAILS,
            expected,
            result,
        )),
    }
}

fn after_valid_event(attempt: &SendAttempt, result: &Result<(), SendError>) -> Option<Violation> {
    let name = attempt.name;
    match result {
        Ok(()) | Err(SendError::Disconnected) => None,
        Err(SendError::Violation(violation)) => Some(Violation::new(
            rule::SEND_VIOLATION,
            format!(
                "`{name}` breaks no rule and failed with {}",
                violation.rule.id
            ),
        )),
        Err(SendError::NotOffered(feature)) => Some(Violation::new(
            rule::FEATURES_OFFERED,
            format!("the scope lists `{}`, which is not offered", feature.name()),
        )),
        // The file may not be readable.
        Err(_) if attempt.path_send.is_some() => None,
        Err(_) => Some(Violation::new(
            rule::SEND_VIOLATION,
            format!("`{name}` {}", description(result)),
        )),
    }
}

fn after_disconnect(attempt: &SendAttempt, result: &Result<(), SendError>) -> Option<Violation> {
    if let Err(SendError::Disconnected) = result {
        return None;
    }
    let (rule, when) = match attempt.phase_before {
        ExchangePhase::Returned => (rule::RETURN_ENDS_SENDING, "after the call had returned"),
        _ => (
            rule::SEND_AFTER_DISCONNECT,
            "after the client had disconnected",
        ),
    };
    let detail = format!("`{}` {} {when}", attempt.name, description(result));
    Some(Violation::new(rule, detail))
}

fn after_violation(
    attempt: &SendAttempt,
    expected: &Violation,
    result: &Result<(), SendError>,
) -> Option<Violation> {
    let rule = match (attempt.phase_before, result) {
        (_, Err(SendError::Violation(actual))) if actual.rule == expected.rule => return None,
        // The client may have disconnected before the rule was broken.
        (ExchangePhase::Open, Err(SendError::Disconnected)) => return None,
        (ExchangePhase::Broken, _) => rule::VIOLATION_IS_FINAL,
        _ => rule::SEND_VIOLATION,
    };
    let (name, description) = (attempt.name, description(result));
    let detail = format!("`{name}` {description}, not with {}", expected.rule.id);
    Some(Violation::new(rule, detail))
}

fn not_offered(
    attempt: &SendAttempt,
    feature: Feature,
    result: &Result<(), SendError>,
) -> Option<Violation> {
    match result {
        Err(SendError::NotOffered(_) | SendError::Disconnected) => None,
        Err(SendError::File { .. }) => Some(Violation::new(
            rule::FEATURES_OFFERED,
            format!(
                "`{}` is offered, and the scope does not list it",
                feature.name()
            ),
        )),
        _ => {
            let expected = SendError::NotOffered(feature);
            Some(unexpected(
                attempt,
                rule::NOT_OFFERED_FAILS,
                &expected,
                result,
            ))
        }
    }
}

fn unexpected(
    attempt: &SendAttempt,
    rule: &'static rule::Rule,
    expected: &SendError,
    result: &Result<(), SendError>,
) -> Violation {
    let (name, description) = (attempt.name, description(result));
    Violation::new(
        rule,
        format!("`{name}` {description}, not with: {expected}"),
    )
}

/// Describes the result of a send, as the predicate of a sentence.
fn description(result: &Result<(), SendError>) -> String {
    match result {
        Ok(()) => "was delivered".to_owned(),
        Err(SendError::Violation(violation)) => format!("failed with {}", violation.rule.id),
        Err(error) => format!("failed ({error})"),
    }
}
