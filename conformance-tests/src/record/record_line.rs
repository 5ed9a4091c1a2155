//! The lines of a recording.

use callgate::{ReceiveEvent, Scope, SendError, SendEvent};
use serde::{Deserialize, Serialize};

use crate::call_end::CallEnd;

/// A line of a recording: the number of an exchange, and one event of the exchange.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RecordLine {
    /// Exchanges are numbered from 1, in the order of their calls.
    pub(crate) exchange: u64,
    /// The application was called with this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<Scope>,
    /// The application received this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<ReceiveEvent>,
    /// The application sent this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<SendEvent>,
    /// The send failed for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
    /// The call ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<CallEnd>,
    /// The call ended with this error or panic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl RecordLine {
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
pub(super) fn failure_reason(error: &SendError) -> String {
    match error {
        SendError::Disconnected => DISCONNECTED.to_owned(),
        SendError::Violation(violation) => violation.rule.id.to_owned(),
        SendError::NotOffered(feature) => format!("{} is not offered", feature.name()),
        other => other.to_string(),
    }
}
