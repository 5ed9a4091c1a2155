//! The lines between the suite and `asgi_host.py`.

use callgate::{ReceiveEvent, Scope, SendError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A line to the host.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum HostCommand {
    /// Calls the application.
    Call { call: u64, scope: Value },
    /// Is the event that the application receives.
    Deliver { call: u64, event: Value },
    /// Ends a send.
    Settle {
        call: u64,
        send: u64,
        failure: Option<SendFailure>,
    },
    /// Cancels a call.
    Cancel { call: u64 },
}

/// Why a send failed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum SendFailure {
    /// The client is gone, which ASGI has an exception for.
    Disconnected { disconnected: bool },
    /// Any other reason, which becomes the text of an exception.
    Refused { reason: String },
}

impl From<SendError> for SendFailure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Disconnected => Self::Disconnected { disconnected: true },
            error => Self::Refused {
                reason: error.to_string(),
            },
        }
    }
}

/// A line from the host.
#[derive(Debug, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub(super) enum HostMessage {
    /// The application has been imported.
    Loaded,
    /// There is no application, for this reason.
    Unloadable { reason: String },
    /// The event loop has handled so many commands, and has nothing left to run.
    Idle { handled: u64 },
    /// The application waits to receive.
    Receive { call: u64 },
    /// The application sends an event.
    Send { call: u64, send: u64, event: Value },
    /// The application has broken a rule for which the serialised form has no event.
    Fault {
        call: u64,
        rule: String,
        detail: String,
    },
    /// The call has ended.
    Ended {
        call: u64,
        how: HostCallEnd,
        error: String,
    },
}

/// How a call in Python ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HostCallEnd {
    Returned,
    /// It raised an exception.
    Raised,
    /// It raised what a send to a disconnected client had raised.
    Disconnected,
    /// It raised what ends the process.
    Exited,
}

/// Returns the serialised form of a scope.
pub(super) fn scope_form(scope: &Scope) -> Value {
    // A scope of an unknown kind has no serialised form.
    serde_json::to_value(scope).unwrap_or_else(|_| json!({ "type": scope.type_name() }))
}

/// Returns the serialised form of an event.
pub(super) fn event_form(event: &ReceiveEvent) -> Value {
    // An unknown event has no serialised form.
    serde_json::to_value(event).unwrap_or_else(|_| json!({ "type": event.type_name() }))
}
