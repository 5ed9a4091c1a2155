//! What the suite and the probe say to each other.

use callgate::{Feature, HttpResponseBody, ReceiveEvent, SendError, SendEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The environment variable with the address that the suite listens at, such as `127.0.0.1:9000`.
pub const PROBE_VARIABLE: &str = "CALLGATE_PROBE";

/// The request header field with the first steps: a list of [`Step`]s in JSON.
pub const PROBE_FIELD: &str = "probe";

/// What the suite tells the probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The call that is meant.
    pub call: u64,
    /// The number under which the probe tells what came of it.
    pub step: u64,
    /// What to do. Steps of different commands may run at the same time.
    #[serde(rename = "do")]
    pub what: Step,
}

/// One thing that the application does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Receives the next event.
    Receive,
    /// Receives all events up to the last of the request's content, and tells each.
    ReceiveBody,
    /// Sends an event.
    Send(SendEvent),
    /// Sends each of these events from a task of its own, all at once. Tells of each; a step that
    /// the request brought along does not wait for them.
    SendAtOnce(Vec<SendEvent>),
    /// Sends the last part of a response's content: `x`, so many times. Large content need not come
    /// from the suite.
    SendLast(usize),
    /// Does nothing, but says so: whatever happened before has been told then.
    Fence,
    /// Keeps the sender, so that `send` works after the call has ended.
    KeepSender,
    /// Puts a text into the state of this scope, where another exchange must not see it.
    PutState(String),
    /// Tells the texts in the state of the scope: that of lifespan and that of `put_state`.
    TellState,
    /// Ends the call: successfully.
    Return,
    /// Ends the call: this kind of scope is not served.
    Decline,
    /// Ends the call: with a failure of this text.
    Fail(String),
    /// Ends the call: with the error of the last failed send.
    FailAsSent,
    /// Ends the call: with the error of a send to a client that is gone, whether or not it is.
    FailDisconnected,
    /// Ends the call: with a panic of this text.
    Panic(String),
}

impl Step {
    /// The event that it sends, if it sends one.
    #[must_use]
    pub fn event(&self) -> Option<SendEvent> {
        match self {
            Self::Send(event) => Some(event.clone()),
            Self::SendLast(length) => Some(HttpResponseBody::last(vec![b'x'; *length]).into()),
            _ => None,
        }
    }
}

/// What the probe tells the suite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// It has connected.
    Hello {
        /// The number of its process.
        process: u32,
        /// What it speaks: `callgate` or `asgi`.
        protocol: String,
    },
    /// It has been called.
    Called {
        /// The number of the call in this process, from 0 on.
        call: u64,
        /// The scope, serialised as the documents say.
        scope: Value,
        /// The target as it stands in the scope, where the serialised form has only parts of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// It received an event.
    Received {
        /// The call.
        call: u64,
        /// The command; none for a step that the request brought along.
        step: Option<u64>,
        /// The event.
        event: ReceiveEvent,
    },
    /// A send has come to an end.
    Sent {
        /// The call.
        call: u64,
        /// The command; none for a step that the request brought along.
        step: Option<u64>,
        /// What it came to.
        outcome: SentOutcome,
    },
    /// Another step is done.
    Done {
        /// The call.
        call: u64,
        /// The command; none for a step that the request brought along.
        step: Option<u64>,
        /// What it has to tell.
        texts: Vec<String>,
    },
    /// The call has ended.
    Ended {
        /// The call.
        call: u64,
        /// How.
        how: End,
    },
}

/// What a send came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentOutcome {
    /// The server took the event.
    Delivered,
    /// The client is gone, or the call has returned.
    Disconnected,
    /// The event, or one before it, breaks the rule of this ID.
    Violation(String),
    /// The event needs this feature.
    NotOffered(String),
    /// The file cannot be opened.
    File,
    /// It failed in another way.
    Failed(String),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As the last step said.
    AsTold,
    /// Its future was dropped.
    Dropped,
}

impl From<Result<(), SendError>> for SentOutcome {
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
