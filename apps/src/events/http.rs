//! Events over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use callgate::{AppError, HttpScope, Receiver, Sender};
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::read::{self, ReadError};
use callgate_toolkit::respond::{self, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::application::{Category, Event};
use super::schedule::Later;
use super::service::{Service, What, Work, report};
use crate::api::Object;
use crate::failures::{method_not_allowed, not_found, websocket_only};
use crate::method;

/// How large an event may be, in bytes.
const MAX_EVENT: usize = 1024 * 1024;

/// An event, and what its sender calls it.
#[derive(Debug, Deserialize)]
struct Delivery {
    task_id: Option<String>,
    #[serde(flatten)]
    event: Event,
}

impl Service {
    /// Answers a request, and works on after that where there is something left to do.
    pub(super) async fn answer(
        &self,
        scope: &HttpScope,
        mut receiver: Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let path = scope.route_path();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let is_post = scope.method == http::Method::POST;
        let is_read = method::is_read(&scope.method);
        let response = match segments[..] {
            [""] | [] if is_read => respond::json(&self.application.setup_request())?,
            ["variables"] if is_read => respond::json(&self.context.variables.all())?,
            ["schedules", method, "run"] if is_post => self.run_now(method).await?,
            ["events"] if is_post => return self.deliver(scope, &mut receiver, sender).await,
            ["" | "variables"] | [] => return Err(method_not_allowed("GET, HEAD").into()),
            ["schedules", _, "run"] | ["events"] => return Err(method_not_allowed("POST").into()),
            ["ws"] => return Err(websocket_only().into()),
            _ => return Err(not_found().into()),
        };
        response.send(sender).await?;
        Ok(())
    }

    /// Takes an event. The sender of an interactive one waits for the answer; that of one in the
    /// background has gone on when the work begins.
    async fn deliver(
        &self,
        scope: &HttpScope,
        receiver: &mut Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let read = read::read_json(scope, receiver, MAX_EVENT).await;
        let Object(Delivery { task_id, event }) = read.map_err(refusal)?;
        let task_id =
            task_id.unwrap_or_else(|| format!("task-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let name = format!("Task {task_id}");

        if self.application.category(&event).map_err(HttpError::from)? == Category::Interactive {
            let output = self.application.handle(&self.context, &event).await;
            report(&name, &output);
            let data = output.data.ok_or_else(|| AppError::failed("no answer"))?;
            let response = respond::json(&data.body)?;
            let status = StatusCode::from_u16(data.http_status).map_err(AppError::failed)?;
            response.status(status).send(sender).await?;
            return Ok(());
        }
        // Without it nothing would come of the work.
        self.context.connect().map_err(HttpError::from)?;
        let accepted = respond::json(&json!({ "task_id": task_id }))?;
        accepted.status(StatusCode::ACCEPTED).send(sender).await?;
        // A shutdown waits for what is done after the response (rules `HTTP-35` and `HTTP-36`).
        let work = Work::new(name, What::Event(event));
        self.work(work, scope.state.get::<Later>()).await;
        Ok(())
    }

    async fn run_now(&self, method: &str) -> Result<Response, AppError> {
        if !self.application.schedulables().any(|name| name == method) {
            let message = format!("there is no schedulable `{method}`");
            return Err(HttpError::new(StatusCode::NOT_FOUND, message).into());
        }
        let schedule = json!({ "method": method });
        let run = self.application.run(&self.context, method, schedule).await;
        let output = run.map_err(HttpError::from)?;
        report(&format!("Schedule {method}"), &output);
        Ok(respond::json(&output)?)
    }
}

/// A request that cannot be read, as its sender is told of it.
fn refusal(error: ReadError) -> AppError {
    match error {
        ReadError::Disconnected => error.into(),
        _ => HttpError::new(error.status(), error.to_string()).into(),
    }
}
