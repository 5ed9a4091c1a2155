//! The lines of a recording.

use callgate::{AppError, ReceiveEvent, Scope, SendError, SendEvent};
use serde::{Deserialize, Serialize};

/// One line: a number of an exchange, and one thing that happened in it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    /// Exchanges count from 1, in the order of their calls.
    pub(crate) exchange: u64,
    /// The application was called with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<Scope>,
    /// It received this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<ReceiveEvent>,
    /// It sent this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<SendEvent>,
    /// Why that send failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
    /// The call ended in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
    /// With this error, or this panic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Line {
    /// Whether it says of nothing that it happened.
    pub(crate) fn is_empty(&self) -> bool {
        self.called.is_none()
            && self.received.is_none()
            && self.sent.is_none()
            && self.failed.is_none()
            && self.ended.is_none()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ended {
    /// Successfully.
    Returned,
    /// With `AppError::Unsupported`.
    Declined,
    /// With the error of a client that is gone.
    Disconnected,
    /// With another error.
    Failed,
    Panicked,
    /// It did not: the server dropped it.
    Dropped,
}

/// What `failed` says of a client that is gone.
pub(crate) const DISCONNECTED: &str = "disconnected";

/// What `failed` says.
pub(crate) fn failure(error: &SendError) -> String {
    match error {
        SendError::Disconnected => DISCONNECTED.to_owned(),
        SendError::Violation(violation) => violation.rule.id.to_owned(),
        SendError::NotOffered(feature) => format!("{} is not offered", feature.name()),
        other => other.to_string(),
    }
}

impl From<&Result<(), AppError>> for Ended {
    fn from(result: &Result<(), AppError>) -> Self {
        match result {
            Ok(()) => Self::Returned,
            Err(AppError::Unsupported) => Self::Declined,
            Err(error) if error.is_disconnected() => Self::Disconnected,
            Err(_) => Self::Failed,
        }
    }
}
