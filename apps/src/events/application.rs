//! An events application: handlers for types of events and their statuses, things to do on a
//! schedule, variables.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::context::Context;
use super::response::{
    BackgroundResponse, HandlerError, InteractiveResponse, Output, ScheduledExecutionResponse,
};
use super::variables::Variable;

/// The collection of the requests that events are about.
const REQUESTS: &str = "requests";

/// What is registered.
#[derive(Debug, Default)]
pub(super) struct Application {
    variables: Vec<Variable>,
    handlers: BTreeMap<&'static str, Handler>,
    schedulables: BTreeMap<&'static str, Schedulable>,
}

#[derive(Debug)]
struct Handler {
    category: Category,
    statuses: &'static [&'static str],
    function: Function,
}

#[derive(Debug)]
struct Schedulable {
    name: &'static str,
    description: &'static str,
    function: Function,
    /// Held while it runs: it does not run twice at a time.
    running: Mutex<()>,
}

/// How a task is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Category {
    /// Its sender waits for the answer.
    Interactive,
    /// Its sender is told the outcome.
    Background,
    /// It comes at its time.
    Scheduled,
}

impl Category {
    /// How long a handler may take: what Connect grants.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Interactive => 120,
            Self::Background => 300,
            Self::Scheduled => 12 * 60 * 60,
        })
    }
}

/// Something that has happened.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) event_type: String,
    /// What it is about, and where Connect has it when `data` does not.
    pub(super) object_id: Option<String>,
    pub(super) data: Option<Value>,
}

type Handled = Pin<Box<dyn Future<Output = Result<Output, HandlerError>> + Send>>;

struct Function(Box<dyn Fn(Context, Value) -> Handled + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

impl Function {
    fn new<F, Fut, R>(function: F) -> Self
    where
        F: Fn(Context, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        R: Into<Output>,
    {
        Self(Box::new(move |context, argument| {
            let handled = function(context, argument);
            Box::pin(async move { Ok(handled.await?.into()) })
        }))
    }

    /// Calls it. One that takes too long is dropped, and one that panics takes nobody with it.
    async fn call(
        &self,
        category: Category,
        context: Context,
        argument: Value,
    ) -> Result<Output, HandlerError> {
        let call = async { (self.0)(context, argument).await };
        let limit = category.limit();
        match timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(HandlerError::Panicked),
            Err(_elapsed) => Err(HandlerError::TimedOut(limit)),
        }
    }
}

impl Application {
    /// Nothing is registered.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A variable, and what it is before it is set.
    pub(super) fn variable(mut self, name: &'static str, initial_value: &'static str) -> Self {
        self.variables.push(Variable {
            name,
            initial_value,
        });
        self
    }

    /// Something to do on a schedule: what it is called, its name for people and what it does.
    pub(super) fn schedulable<F, Fut>(
        mut self,
        method: &'static str,
        name: &'static str,
        description: &'static str,
        function: F,
    ) -> Self
    where
        F: Fn(Context, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ScheduledExecutionResponse, HandlerError>> + Send + 'static,
    {
        let schedulable = Schedulable {
            name,
            description,
            function: Function::new(function),
            running: Mutex::new(()),
        };
        self.schedulables.insert(method, schedulable);
        self
    }

    /// A handler for events of this type, about objects in one of these statuses, whose senders wait
    /// for the answer.
    pub(super) fn interactive<F, Fut>(
        self,
        event_type: &'static str,
        statuses: &'static [&'static str],
        function: F,
    ) -> Self
    where
        F: Fn(Context, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<InteractiveResponse, HandlerError>> + Send + 'static,
    {
        let function = Function::new(function);
        self.handler(event_type, Category::Interactive, statuses, function)
    }

    /// A handler for events of this type, about objects in one of these statuses, that are worked on
    /// in the background.
    pub(super) fn background<F, Fut>(
        self,
        event_type: &'static str,
        statuses: &'static [&'static str],
        function: F,
    ) -> Self
    where
        F: Fn(Context, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<BackgroundResponse, HandlerError>> + Send + 'static,
    {
        let function = Function::new(function);
        self.handler(event_type, Category::Background, statuses, function)
    }

    fn handler(
        mut self,
        event_type: &'static str,
        category: Category,
        statuses: &'static [&'static str],
        function: Function,
    ) -> Self {
        let handler = Handler {
            category,
            statuses,
            function,
        };
        self.handlers.insert(event_type, handler);
        self
    }

    pub(super) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What can be run on a schedule.
    pub(super) fn schedulables(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.schedulables.keys().copied()
    }

    /// What is registered, as Connect wants to know it.
    pub(super) fn setup_request(&self) -> Value {
        let subscriptions: BTreeMap<_, _> = self
            .handlers
            .iter()
            .map(|(event_type, handler)| (event_type, handler.statuses))
            .collect();
        let schedulables: Vec<_> = self
            .schedulables
            .iter()
            .map(|(method, schedulable)| {
                serde_json::json!({
                    "method": method,
                    "name": schedulable.name,
                    "description": schedulable.description,
                })
            })
            .collect();
        serde_json::json!({
            "model_type": "setup_request",
            "event_subscriptions": subscriptions,
            "variables": self.variables,
            "schedulables": schedulables,
            "runner_version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// How events of this type are worked on.
    ///
    /// # Errors
    ///
    /// [`HandlerError::NotSupported`] when there is no handler for its type and, where that is known,
    /// the status of what it is about; [`HandlerError::Invalid`] when it does not say what that is.
    pub(super) fn category(&self, event: &Event) -> Result<Category, HandlerError> {
        let handler = self.find(event)?;
        match (&event.data, &event.object_id, handler.category) {
            (Some(object), _, _) => handler.check(object)?,
            (None, Some(_), Category::Background) => {}
            (None, _, Category::Background) => {
                let reason = "data or object_id is missing".to_owned();
                return Err(HandlerError::Invalid(reason));
            }
            (None, _, _) => return Err(HandlerError::Invalid("data is missing".to_owned())),
        }
        Ok(handler.category)
    }

    /// Has the event handled. What it does not bring along is fetched from Connect.
    pub(super) async fn handle(&self, context: &Context, event: &Event) -> Output {
        let begin = Instant::now();
        let result = self.try_handle(context, event).await;
        let output = result.unwrap_or_else(|error| match self.find(event) {
            Ok(handler) if handler.category == Category::Interactive => error.interactive().into(),
            _ => error.background().into(),
        });
        Output {
            runtime: begin.elapsed().as_secs_f64(),
            ..output
        }
    }

    async fn try_handle(&self, context: &Context, event: &Event) -> Result<Output, HandlerError> {
        let category = self.category(event)?;
        let handler = self.find(event)?;
        let object = match (&event.data, &event.object_id) {
            (Some(object), _) => object.clone(),
            (None, id) => {
                let requests = context.connect()?.collection(REQUESTS);
                let id = id.as_deref().unwrap_or_default();
                let object = requests.resource(id).get().await?;
                handler.check(&object)?;
                object
            }
        };
        handler
            .function
            .call(category, context.clone(), object)
            .await
    }

    fn find(&self, event: &Event) -> Result<&Handler, HandlerError> {
        self.handlers.get(&*event.event_type).ok_or_else(|| {
            let reason = format!("there is no handler for events `{}`", event.event_type);
            HandlerError::NotSupported(reason)
        })
    }

    /// Runs what is called that on a schedule.
    ///
    /// # Errors
    ///
    /// [`HandlerError::NotSupported`] when nothing is called that; [`HandlerError::Busy`] while it
    /// runs; those of the function.
    pub(super) async fn run(
        &self,
        context: &Context,
        method: &str,
        schedule: Value,
    ) -> Result<Output, HandlerError> {
        let schedulable = self.schedulables.get(method).ok_or_else(|| {
            HandlerError::NotSupported(format!("there is no schedulable `{method}`"))
        })?;
        let busy = || HandlerError::Busy(format!("{method} is running"));
        let _running = schedulable.running.try_lock().map_err(|_| busy())?;
        let begin = Instant::now();
        let call = schedulable
            .function
            .call(Category::Scheduled, context.clone(), schedule);
        let output = call.await?;
        Ok(Output {
            runtime: begin.elapsed().as_secs_f64(),
            ..output
        })
    }
}

impl Handler {
    /// Whether it is for objects such as this.
    fn check(&self, object: &Value) -> Result<(), HandlerError> {
        let status = object
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if self.statuses.contains(&status) {
            return Ok(());
        }
        let statuses = self.statuses.join(", ");
        let reason =
            format!("the status is `{status}`, and those that are handled are: {statuses}");
        Err(HandlerError::NotSupported(reason))
    }
}
