//! An events application as an application of Callgate, and the jobs that it runs.

use std::sync::Arc;
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_drive::Escaped;

use super::context::Context;
use super::job::{Job, RetryQueue, Trigger};
use super::registry::Registry;
use super::response::{Output, ResultType};
use super::variables::Variables;
use crate::connect::ConnectApi;
use crate::settings::Settings;

/// The default interval of the schedule.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// The number of attempts of a job.
const MAX_ATTEMPTS: u32 = 5;

/// Serves an events application. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct EventsApp {
    pub(super) registry: Arc<Registry>,
    pub(super) context: Context,
    pub(super) period: Duration,
}

impl EventsApp {
    pub(super) fn new(registry: Registry, settings: &Settings) -> Self {
        let api = ConnectApi::new(settings);
        let variables = Variables::new(registry.variables(), api.clone(), settings);
        Self {
            registry: Arc::new(registry),
            context: Context {
                api,
                variables: Arc::new(variables),
            },
            period: settings.events_schedule.unwrap_or(PERIOD),
        }
    }

    /// Runs a job. A job whose handler asks for another attempt goes to `retries`, which the lifespan
    /// serves; without a lifespan, or after the last attempt, the job is given up.
    pub(super) async fn run_job(&self, job: Job, retries: Option<&RetryQueue>) {
        let output = match &job.trigger {
            Trigger::Event(event) => self.registry.handle(&self.context, event).await,
            Trigger::Schedulable(method) => {
                let schedule = serde_json::json!({ "method": method });
                let run = self.registry.run(&self.context, method, schedule).await;
                run.unwrap_or_else(|error| error.scheduled())
            }
        };
        log_output(&job.name, &output);
        if output.result != ResultType::Reschedule {
            return;
        }
        let countdown = Duration::from_secs(output.countdown);
        let is_queued = job.attempt < MAX_ATTEMPTS
            && retries.is_some_and(|retries| retries.push(countdown, job.next_attempt()));
        if !is_queued {
            let (name, attempt) = (Escaped(&job.name), job.attempt);
            tracing::error!("{name} is given up after {attempt} attempts");
        }
    }
}

/// Logs the output of a handler.
pub(super) fn log_output(name: &str, output: &Output) {
    let name = Escaped(name);
    match output.result {
        ResultType::Success | ResultType::Skip => tracing::info!("{name}: {output}"),
        ResultType::Reschedule => tracing::warn!("{name}: {output}"),
        ResultType::Fail if output.is_client_error() => tracing::info!("{name}: {output}"),
        ResultType::Fail => tracing::error!("{name}: {output}"),
    }
}

impl App for EventsApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => self.serve_http(&scope, receiver, &sender).await,
            Scope::WebSocket(scope) => self.serve_websocket(&scope, receiver, sender).await,
            Scope::Lifespan(_) => self.run_lifespan(receiver, sender).await,
            _ => Err(AppError::Unsupported),
        }
    }
}
