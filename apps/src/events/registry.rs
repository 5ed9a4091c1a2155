//! The parts of an events application: handlers for types of events, functions that run on a
//! schedule, and variables.

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

/// The collection that has the objects of background events.
const REQUESTS: &str = "requests";

/// The handlers, schedulables and variables of an events application.
#[derive(Debug, Default)]
pub(super) struct Registry {
    variables: Vec<Variable>,
    handlers: BTreeMap<&'static str, Handler>,
    schedulables: BTreeMap<&'static str, Schedulable>,
}

#[derive(Debug)]
struct Handler {
    category: Category,
    statuses: &'static [&'static str],
    function: HandlerFunction,
}

#[derive(Debug)]
struct Schedulable {
    name: &'static str,
    description: &'static str,
    function: HandlerFunction,
    /// Held while the function runs, so that it does not run twice at a time.
    running: Mutex<()>,
}

/// The way in which an event or a task is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Category {
    /// The sender waits for the response.
    Interactive,
    /// The sender does not wait.
    Background,
    /// A schedule starts the handler.
    Scheduled,
}

impl Category {
    /// Returns the time limit of a handler, as Connect sets it.
    fn time_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Interactive => 120,
            Self::Background => 300,
            Self::Scheduled => 12 * 60 * 60,
        })
    }
}

/// An event.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) event_type: String,
    /// The ID of the object of the event.
    pub(super) object_id: Option<String>,
    /// The object. If it is missing, it is fetched from Connect by its ID.
    pub(super) data: Option<Value>,
}

type HandlerFuture = Pin<Box<dyn Future<Output = Result<Output, HandlerError>> + Send>>;

struct HandlerFunction(Box<dyn Fn(Context, Value) -> HandlerFuture + Send + Sync>);

impl fmt::Debug for HandlerFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFunction")
    }
}

impl HandlerFunction {
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

    /// Calls the function. It is dropped after the time limit of its category, and a panic is an error.
    async fn call(
        &self,
        category: Category,
        context: Context,
        argument: Value,
    ) -> Result<Output, HandlerError> {
        let call = async { (self.0)(context, argument).await };
        let limit = category.time_limit();
        match timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(HandlerError::Panicked),
            Err(_elapsed) => Err(HandlerError::TimedOut(limit)),
        }
    }
}

impl Registry {
    /// Creates an empty registry.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Registers a variable with its initial value.
    pub(super) fn variable(mut self, name: &'static str, initial_value: &'static str) -> Self {
        self.variables.push(Variable {
            name,
            initial_value,
        });
        self
    }

    /// Registers a function that runs on a schedule. `method` identifies it; the name and the
    /// description are for people.
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
            function: HandlerFunction::new(function),
            running: Mutex::new(()),
        };
        self.schedulables.insert(method, schedulable);
        self
    }

    /// Registers a handler for interactive events of this type, about objects in one of these
    /// statuses.
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
        let function = HandlerFunction::new(function);
        self.handler(event_type, Category::Interactive, statuses, function)
    }

    /// Registers a handler for background events of this type, about objects in one of these
    /// statuses.
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
        let function = HandlerFunction::new(function);
        self.handler(event_type, Category::Background, statuses, function)
    }

    fn handler(
        mut self,
        event_type: &'static str,
        category: Category,
        statuses: &'static [&'static str],
        function: HandlerFunction,
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

    /// Returns the names of the schedulables.
    pub(super) fn schedulables(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.schedulables.keys().copied()
    }

    /// Returns the description of all that is registered, in the format of Connect.
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

    /// Returns the category of an event.
    ///
    /// # Errors
    ///
    /// Returns [`HandlerError::NotSupported`] if no handler is registered for the type of the event and
    /// the status of its object, as far as the event has it; [`HandlerError::Invalid`] if the event
    /// names no object.
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

    /// Handles an event. If the event does not have its object, the object is fetched from Connect.
    pub(super) async fn handle(&self, context: &Context, event: &Event) -> Output {
        let begin = Instant::now();
        let result = self.try_handle(context, event).await;
        let output = result.unwrap_or_else(|error| match self.find(event) {
            Ok(handler) if handler.category == Category::Interactive => error.interactive(),
            _ => error.background(),
        });
        output.with_runtime(begin.elapsed())
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

    /// Runs the schedulable of this name.
    ///
    /// # Errors
    ///
    /// Returns [`HandlerError::NotSupported`] if there is none of this name, [`HandlerError::Busy`] while
    /// it runs, and the error of the function.
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
        Ok(output.with_runtime(begin.elapsed()))
    }
}

impl Handler {
    /// Checks that the handler is registered for the status of this object.
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
