//! The lines of a recording.

use callgate::{ReceiveEvent, Scope, SendError, SendEvent};
use serde::{Deserialize, Serialize};

use super::credentials::{mask_received, mask_scope, mask_sent};
use crate::call_end::CallEnd;
use crate::observe::ObservedEnd;

/// A line of a recording: the number of an exchange, and one event of the exchange. As JSON, it is a line of
/// the file that a [`Recorder`](crate::Recorder) writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RecordLine {
    /// Exchanges are numbered from 1, in the order of their calls.
    pub exchange: u64,
    /// The application was called with this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Scope>,
    /// The application received this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<ReceiveEvent>,
    /// The application sent this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<SendEvent>,
    /// The send failed for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The call ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<CallEnd>,
    /// The call ended with this error or panic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl RecordLine {
    /// Creates the line of a call with this scope.
    #[must_use]
    pub fn called(exchange: u64, scope: &Scope) -> Self {
        Self {
            exchange,
            called: Some(scope.clone()),
            ..Self::default()
        }
    }

    /// Creates the line of an event that the application has received.
    #[must_use]
    pub fn received(exchange: u64, event: &ReceiveEvent) -> Self {
        Self {
            exchange,
            received: Some(event.clone()),
            ..Self::default()
        }
    }

    /// Creates the line of an event that the application has sent, or has failed to send.
    #[must_use]
    pub fn sent(exchange: u64, event: SendEvent, result: &Result<(), SendError>) -> Self {
        Self {
            exchange,
            sent: Some(event),
            failed: result.as_ref().err().map(failure_reason),
            ..Self::default()
        }
    }

    /// Creates the line of the end of the call.
    #[must_use]
    pub fn ended(exchange: u64, end: ObservedEnd<'_>) -> Self {
        let (end, error) = match end {
            ObservedEnd::Returned(result) => (
                CallEnd::from(result),
                result.as_ref().err().map(ToString::to_string),
            ),
            ObservedEnd::Panicked(message) => (CallEnd::Panicked, Some(message.to_owned())),
            ObservedEnd::Dropped => (CallEnd::Dropped, None),
        };
        Self {
            exchange,
            ended: Some(end),
            error,
            ..Self::default()
        }
    }

    /// Masks the credentials in the line, as a [`Recorder`](crate::Recorder) does.
    pub fn mask_credentials(&mut self) {
        self.called.as_mut().map(mask_scope);
        self.received.as_mut().map(mask_received);
        self.sent.as_mut().map(mask_sent);
    }

    /// Returns whether the line contains nothing that happened.
    pub(crate) fn is_empty(&self) -> bool {
        self.called.is_none()
            && self.received.is_none()
            && self.sent.is_none()
            && self.failed.is_none()
            && self.ended.is_none()
    }
}

/// The value of `failed` for a client that has disconnected.
pub(crate) const DISCONNECTED: &str = "disconnected";

/// Returns the value of `failed` for this error.
fn failure_reason(error: &SendError) -> String {
    match error {
        SendError::Disconnected => DISCONNECTED.to_owned(),
        SendError::Violation(violation) => violation.rule.id.to_owned(),
        SendError::NotOffered(feature) => format!("{} is not offered", feature.name()),
        other => other.to_string(),
    }
}
