//! Events over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use callgate::{AppError, HttpScope, Receiver, Sender};
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::read::{self, ReadError};
use callgate_toolkit::respond::{self, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::app::{EventsApp, log_output};
use super::job::{Job, RetryQueue, Trigger};
use super::registry::{Category, Event};
use crate::api::JsonObject;
use crate::http_errors::{method_not_allowed, not_found, websocket_only};
use crate::method;

/// The largest event, in bytes.
const MAX_EVENT: usize = 1024 * 1024;

/// The content of a request: an event, and the ID that its sender gave it.
#[derive(Debug, Deserialize)]
struct EventRequest {
    task_id: Option<String>,
    #[serde(flatten)]
    event: Event,
}

impl EventsApp {
    /// Serves a request. A background event is handled after the response.
    pub(super) async fn serve_http(
        &self,
        scope: &HttpScope,
        mut receiver: Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let path = scope.route_path();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let is_post = scope.method == http::Method::POST;
        let is_get_or_head = method::is_get_or_head(&scope.method);
        let response = match segments[..] {
            [""] | [] if is_get_or_head => respond::json(&self.registry.setup_request())?,
            ["variables"] if is_get_or_head => respond::json(&self.context.variables.all())?,
            ["schedules", method, "run"] if is_post => self.run_now(method).await?,
            ["events"] if is_post => return self.receive_event(scope, &mut receiver, sender).await,
            ["" | "variables"] | [] => return Err(method_not_allowed("GET, HEAD").into()),
            ["schedules", _, "run"] | ["events"] => return Err(method_not_allowed("POST").into()),
            ["ws"] => return Err(websocket_only().into()),
            _ => return Err(not_found().into()),
        };
        response.send(sender).await
    }

    /// Receives an event. The response to an interactive event waits for its handler; a background event
    /// is handled after its response.
    async fn receive_event(
        &self,
        scope: &HttpScope,
        receiver: &mut Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let read = read::json(scope, receiver, MAX_EVENT).await;
        let JsonObject(EventRequest { task_id, event }) = read.map_err(read_error_response)?;
        let task_id =
            task_id.unwrap_or_else(|| format!("task-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let name = format!("Task {task_id}");

        if self.registry.category(&event).map_err(HttpError::from)? == Category::Interactive {
            let output = self.registry.handle(&self.context, &event).await;
            log_output(&name, &output);
            let data = output
                .data
                .ok_or_else(|| AppError::failed("the handler has no response"))?;
            let response = respond::json(&data.body)?;
            let status = StatusCode::from_u16(data.http_status).map_err(AppError::failed)?;
            return response.status(status).send(sender).await;
        }
        // Without a client for Connect the handler could only fail.
        self.context.connect().map_err(HttpError::from)?;
        let accepted = respond::json(&json!({ "task_id": task_id }))?;
        accepted.status(StatusCode::ACCEPTED).send(sender).await?;
        // A shutdown waits for work after the response (rules `HTTP-35` and `HTTP-36`).
        let job = Job::new(name, Trigger::Event(event));
        self.run_job(job, scope.state.get::<RetryQueue>()).await;
        Ok(())
    }

    async fn run_now(&self, method: &str) -> Result<Response, AppError> {
        if !self.registry.schedulables().any(|name| name == method) {
            let message = format!("there is no schedulable `{method}`");
            return Err(HttpError::new(StatusCode::NOT_FOUND, message).into());
        }
        let schedule = json!({ "method": method });
        let run = self.registry.run(&self.context, method, schedule).await;
        let output = run.map_err(HttpError::from)?;
        log_output(&format!("Schedule {method}"), &output);
        Ok(respond::json(&output)?)
    }
}

/// Returns the error response for content that cannot be read.
fn read_error_response(error: ReadError) -> AppError {
    match error {
        ReadError::Disconnected => error.into(),
        _ => HttpError::new(error.status(), error.to_string()).into(),
    }
}
