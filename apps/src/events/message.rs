//! The messages of Connect, in version 2: JSON texts over a WebSocket.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::application::{Category, Event};
use super::response::Output;
use crate::api::Object;

/// What comes.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Something to work on.
    Task(Box<Task>),
    /// What variables are.
    Setup(Setup),
}

/// A task: what to work on, and, on the way back, the outcome.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Task {
    pub(super) options: Options,
    pub(super) input: Input,
    #[serde(skip_deserializing)]
    output: Option<Output>,
}

/// What identifies a task. What else comes with it, keys among it, is not sent back.
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

/// The answer to what is registered.
#[derive(Debug, Deserialize)]
pub(super) struct Setup {
    #[serde(default)]
    pub(super) variables: Vec<Assigned>,
}

/// A variable and its value.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Assigned {
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

    /// The message that tells the outcome.
    pub(super) fn done(mut self, output: Output) -> String {
        self.output = Some(output);
        let mut data = json!(self);
        data["model_type"] = "task".into();
        message("task", &data)
    }
}

/// Reads a message.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<Incoming, String> {
    #[derive(Deserialize)]
    struct Envelope {
        message_type: String,
        #[serde(default)]
        data: Value,
    }
    let Object(Envelope { message_type, data }) =
        serde_json::from_str(text).map_err(|error| format!("not a message: {error}"))?;
    let incoming = match &*message_type {
        "task" => serde_json::from_value(data).map(|Object(task)| Incoming::Task(Box::new(task))),
        "setup_response" => serde_json::from_value(data).map(|Object(it)| Incoming::Setup(it)),
        other => return Err(format!("messages of type `{other}` are not supported")),
    };
    incoming.map_err(|error| format!("not a {message_type}: {error}"))
}

/// The message that tells what is registered.
pub(super) fn setup_request(data: &Value) -> String {
    message("setup_request", data)
}

/// The message that tells what was wrong with one that came.
pub(super) fn error(reason: &str) -> String {
    message("error", &json!({ "message": reason }))
}

fn message(message_type: &str, data: &Value) -> String {
    json!({ "version": 2, "message_type": message_type, "data": data }).to_string()
}
