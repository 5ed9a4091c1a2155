//! Version 2 of Connect's messages: JSON texts over a WebSocket.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::registry::{Category, Event};
use super::response::Output;
use crate::api::JsonObject;

/// A message from Connect.
#[derive(Debug)]
pub(super) enum ConnectMessage {
    /// A task to run.
    Task(Box<Task>),
    /// The values of variables.
    Setup(Setup),
}

/// A task, and in the reply its output as well.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Task {
    pub(super) options: Options,
    pub(super) input: Input,
    #[serde(skip_deserializing)]
    output: Option<Output>,
}

/// The fields that identify a task. Other fields, such as keys, are not sent back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(expecting = "an object")]
pub(super) struct Options {
    pub(super) task_id: String,
    pub(super) task_category: Category,
    correlation_id: Option<String>,
    reply_to: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(expecting = "an object")]
pub(super) struct Input {
    event_type: String,
    pub(super) object_id: Option<String>,
    pub(super) data: Option<Value>,
}

/// The reply to the setup request of this application.
#[derive(Debug, Deserialize)]
pub(super) struct Setup {
    #[serde(default)]
    pub(super) variables: Vec<VariableAssignment>,
}

/// A variable and its value.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct VariableAssignment {
    pub(super) name: String,
    pub(super) value: String,
}

impl Task {
    pub(super) fn event(&self) -> Event {
        Event {
            event_type: self.input.event_type.clone(),
            object_id: self.input.object_id.clone(),
            data: self.input.data.clone(),
        }
    }

    /// Returns the reply with the output of the task.
    pub(super) fn reply(mut self, output: Output) -> String {
        self.output = Some(output);
        let mut data = json!(self);
        data["model_type"] = "task".into();
        message("task", &data)
    }
}

/// Parses a message.
///
/// # Errors
///
/// Returns the fault of the message.
pub(super) fn parse(text: &str) -> Result<ConnectMessage, String> {
    #[derive(Deserialize)]
    struct Envelope {
        message_type: String,
        #[serde(default)]
        data: Value,
    }
    let JsonObject(Envelope { message_type, data }) =
        serde_json::from_str(text).map_err(|error| format!("not a message: {error}"))?;
    let parsed = match &*message_type {
        "task" => serde_json::from_value(data)
            .map(|JsonObject(task)| ConnectMessage::Task(Box::new(task))),
        "setup_response" => {
            serde_json::from_value(data).map(|JsonObject(setup)| ConnectMessage::Setup(setup))
        }
        other => return Err(format!("messages of type `{other}` are not supported")),
    };
    parsed.map_err(|error| format!("not a {message_type}: {error}"))
}

/// Returns the message that describes the registry.
pub(super) fn setup_request(data: &Value) -> String {
    message("setup_request", data)
}

/// Returns the message for a message that was refused.
pub(super) fn error(reason: &str) -> String {
    message("error", &json!({ "message": reason }))
}

fn message(message_type: &str, data: &Value) -> String {
    json!({ "version": 2, "message_type": message_type, "data": data }).to_string()
}
