//! An events application as an application of Callgate: what comes, and who works on it.

use std::sync::Arc;
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};

use super::application::{Application, Event};
use super::context::Context;
use super::response::{Output, ResultType};
use super::schedule::Later;
use super::variables::Variables;
use crate::connect::Api;
use crate::settings::Settings;

/// How often what is registered runs, unless it is said otherwise.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// How often something is tried before it is given up.
const MAX_ATTEMPTS: u32 = 5;

/// Serves an events application. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) application: Arc<Application>,
    pub(super) context: Context,
    pub(super) period: Duration,
}

/// Something to work on, when nobody waits for the outcome.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// What the log calls it.
    pub(super) name: String,
    pub(super) what: What,
    /// How often it has been tried, this time included.
    pub(super) attempt: u32,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Event(Event),
    /// One that is registered for the schedule.
    Schedulable(&'static str),
}

impl Service {
    pub(super) fn new(application: Application, settings: &Settings) -> Self {
        let api = Api::new(settings);
        let variables = Variables::new(application.variables(), api.clone(), settings);
        Self {
            application: Arc::new(application),
            context: Context {
                api,
                variables: Arc::new(variables),
            },
            period: settings.events_schedule.unwrap_or(PERIOD),
        }
    }

    /// Works on something. What has to be tried again is left to the lifespan of this application,
    /// if the server runs one, and given up after five times.
    pub(super) async fn work(&self, work: Work, later: Option<&Later>) {
        let output = match &work.what {
            What::Event(event) => self.application.handle(&self.context, event).await,
            What::Schedulable(method) => {
                let schedule = serde_json::json!({ "method": method });
                let run = self.application.run(&self.context, method, schedule).await;
                run.unwrap_or_else(|error| error.scheduled().into())
            }
        };
        report(&work.name, &output);
        if output.result != ResultType::Reschedule {
            return;
        }
        let countdown = Duration::from_secs(output.countdown);
        let is_accepted = work.attempt < MAX_ATTEMPTS
            && later.is_some_and(|later| later.accept(countdown, work.again()));
        if !is_accepted {
            tracing::error!("{} is given up after {} attempts", work.name, work.attempt);
        }
    }
}

impl Work {
    /// Something that has not been tried.
    pub(super) fn new(name: String, what: What) -> Self {
        Self {
            name,
            what,
            attempt: 1,
        }
    }

    fn again(&self) -> Self {
        Self {
            attempt: self.attempt + 1,
            ..self.clone()
        }
    }
}

/// Tells the log of an outcome.
pub(super) fn report(name: &str, output: &Output) {
    let name = name.replace(char::is_control, " ");
    match output.result {
        ResultType::Success | ResultType::Skip => tracing::info!("{name}: {output}"),
        ResultType::Reschedule => tracing::warn!("{name}: {output}"),
        ResultType::Fail if output.is_refusal() => tracing::info!("{name}: {output}"),
        ResultType::Fail => tracing::error!("{name}: {output}"),
    }
}

impl App for Service {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => self.answer(&scope, receiver, &sender).await,
            Scope::WebSocket(scope) => self.converse(&scope, receiver, sender).await,
            Scope::Lifespan(_) => self.live(receiver, sender).await,
            _ => Err(AppError::Unsupported),
        }
    }
}
