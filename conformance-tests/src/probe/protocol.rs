//! The commands of the suite to the probe, and the messages of the probe to the suite.

use callgate::{Feature, HttpResponseBody, ReceiveEvent, SendError, SendEvent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The environment variable with the address that the suite listens at, such as `127.0.0.1:9000`.
pub const PROBE_VARIABLE: &str = "CALLGATE_PROBE";

/// The request header field with the first steps: a list of [`Step`]s in JSON.
pub const PROBE_FIELD: &str = "probe";

/// A command of the suite to the probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeCommand {
    /// The number of the call.
    pub call: u64,
    /// The number of the step, which the probe's messages about it repeat.
    pub step: u64,
    /// The step. Steps of different commands may run at the same time.
    #[serde(rename = "do")]
    pub what: Step,
}

/// A step that the application takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Receives the next event.
    Receive,
    /// Receives all events up to the last of the request's content, with a message for each.
    ReceiveBody,
    /// Sends an event.
    Send(SendEvent),
    /// Sends these events at once, each from another task, with a message for each. A step that the
    /// request brought along does not wait for them.
    SendAtOnce(Vec<SendEvent>),
    /// Sends the last part of a response's content: this many bytes, each `x`.
    SendLast(usize),
    /// Does nothing but send a message. The messages of all that happened before have gone out by then.
    Fence,
    /// Keeps the sender, so that `send` works after the call has ended.
    KeepSender,
    /// Puts a text into the state that the completed start-up hands over. Only lifespan has this step.
    PutState(String),
    /// Sends the texts in the state of the scope.
    TellState,
    /// Puts a text into the extensions of the scope.
    PutExtension(String),
    /// Sends the texts in the extensions of the scope.
    TellExtensions,
    /// Ends the call with success.
    Return,
    /// Ends the call by declining the scope.
    Decline,
    /// Ends the call with a failure of this text.
    Fail(String),
    /// Ends the call with the error of the last failed send.
    FailAsSent,
    /// Ends the call with the error of a send to a disconnected client, whether or not the client has disconnected.
    FailDisconnected,
    /// Ends the call with a panic of this text.
    Panic(String),
}

/// Returns a command or a message as a line of JSON.
///
/// The text of a [`Value`] is written and read by code of `serde_json`, which is optimised in builds of tests too. A
/// line has up to some megabytes.
pub(crate) fn to_line(content: &impl Serialize) -> String {
    let value = serde_json::to_value(content).expect("each has a serialised form");
    format!("{value}\n")
}

/// Returns the command or the message of a line of JSON.
pub(crate) fn from_line<T: DeserializeOwned>(line: &str) -> serde_json::Result<T> {
    serde_json::from_value(line.parse()?)
}

impl Step {
    /// Returns the event that the step sends, if it sends one.
    #[must_use]
    pub fn event(&self) -> Option<SendEvent> {
        match self {
            Self::Send(event) => Some(event.clone()),
            Self::SendLast(length) => Some(HttpResponseBody::last(vec![b'x'; *length]).into()),
            _ => None,
        }
    }
}

/// A message of the probe to the suite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum ProbeMessage {
    /// The probe has connected.
    Hello {
        /// The number of the server's process.
        process: u32,
        /// The protocol of the server: `callgate` or `asgi`.
        protocol: String,
    },
    /// The server has called the probe.
    Called {
        /// The number of the call in this process, from 0 on.
        call: u64,
        /// The scope, serialised as the documents say.
        scope: Value,
        /// The target as it stands in the scope, where the serialised form has only parts of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The version of ASGI's HTTP & WebSocket format that a server of ASGI says it speaks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spec_version: Option<String>,
    },
    /// The application received an event.
    Received {
        /// The number of the call.
        call: u64,
        /// The number of the step; none for a step that the request brought along.
        step: Option<u64>,
        /// The event.
        event: ReceiveEvent,
    },
    /// A send has ended.
    Sent {
        /// The number of the call.
        call: u64,
        /// The number of the step; none for a step that the request brought along.
        step: Option<u64>,
        /// The outcome.
        outcome: SendOutcome,
    },
    /// Another step is done.
    Done {
        /// The number of the call.
        call: u64,
        /// The number of the step; none for a step that the request brought along.
        step: Option<u64>,
        /// The texts that `tell_state` or `tell_extensions` asked for.
        texts: Vec<String>,
    },
    /// The call has ended.
    Ended {
        /// The number of the call.
        call: u64,
        /// The way in which it ended.
        how: ProbeCallEnd,
    },
}

/// The outcome of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendOutcome {
    /// The server took the event.
    Delivered,
    /// The client has disconnected, or the call has returned.
    Disconnected,
    /// The event, or one before it, breaks the rule of this ID.
    Violation(String),
    /// The event needs a feature of this name that the scope does not offer.
    NotOffered(String),
    /// The file cannot be opened.
    File,
    /// The send failed in another way.
    Failed(String),
}

/// The way in which a call of the probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeCallEnd {
    /// The last step ended the call.
    AsCommanded,
    /// The server dropped the future of the call.
    Dropped,
}

impl From<Result<(), SendError>> for SendOutcome {
    fn from(result: Result<(), SendError>) -> Self {
        match result {
            Ok(()) => Self::Delivered,
            Err(SendError::Disconnected) => Self::Disconnected,
            Err(SendError::Violation(violation)) => Self::Violation(violation.rule.id.into()),
            Err(SendError::NotOffered(feature)) => Self::NotOffered(Feature::name(feature).into()),
            Err(SendError::File { .. }) => Self::File,
            Err(other) => Self::Failed(other.to_string()),
        }
    }
}
