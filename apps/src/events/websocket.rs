//! Events over a WebSocket: tasks come, results go, in whatever order they are ready.

use callgate::{AppError, Message, Receiver, Sender, WebSocketAccept, WebSocketScope};
use callgate_toolkit::websocket::{Handshake, Session};
use serde_json::Value;
use tokio::task::JoinSet;

use super::application::Category;
use super::message::{self, Incoming, Setup, Task};
use super::response::{HandlerError, Output};
use super::service::{Service, report};
use crate::failures;

/// How many tasks of one WebSocket are worked on at a time. No more are received until one is done.
const AT_ONCE: usize = 32;

impl Service {
    /// Serves a WebSocket.
    pub(super) async fn converse(
        &self,
        scope: &WebSocketScope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        if scope.route_path() != "/ws" {
            return failures::deny_not_found(scope, receiver, sender).await;
        }
        let handshake = Handshake::new(scope, receiver, sender);
        let mut session = handshake.accept(WebSocketAccept::new()).await?;
        let mut tasks = JoinSet::new();
        let result = self.take_tasks(&mut session, &mut tasks).await;
        // What was begun is brought to its end, though nobody is told.
        while let Some(done) = tasks.join_next().await {
            if done.is_ok() {
                tracing::warn!("A result is lost: its WebSocket was closed");
            }
        }
        result
    }

    async fn take_tasks(
        &self,
        session: &mut Session,
        tasks: &mut JoinSet<String>,
    ) -> Result<(), AppError> {
        let setup = message::setup_request(&self.application.setup_request());
        session.send(Message::text(setup)).await?;
        loop {
            let reply = tokio::select! {
                Some(done) = tasks.join_next() => done.map_err(AppError::failed)?,
                message = session.receive(), if tasks.len() < AT_ONCE => match message {
                    None => return Ok(()),
                    Some(message) => match read(&message) {
                        Ok(Incoming::Task(task)) => {
                            let service = self.clone();
                            tasks.spawn(async move { service.finish(*task).await });
                            continue;
                        }
                        Ok(Incoming::Setup(setup)) => {
                            self.configure(setup);
                            continue;
                        }
                        Err(reason) => {
                            let line = reason.replace(char::is_control, " ");
                            tracing::info!("A message was refused: {line}");
                            message::error(&reason)
                        }
                    },
                },
            };
            session.send(Message::text(reply)).await?;
        }
    }

    /// Works on a task. Makes the message that tells the outcome.
    async fn finish(&self, task: Task) -> String {
        let output = match task.options.task_category {
            Category::Scheduled => {
                let run = self.run_scheduled(&task).await;
                run.unwrap_or_else(|error| error.scheduled().into())
            }
            _ => self.application.handle(&self.context, &task.event()).await,
        };
        report(&format!("Task {}", task.options.task_id), &output);
        task.done(output)
    }

    /// Runs what a schedule of Connect is for. What the schedule is comes along, or is fetched.
    async fn run_scheduled(&self, task: &Task) -> Result<Output, HandlerError> {
        let schedule = match (&task.input.data, &task.input.object_id) {
            (Some(schedule), _) => schedule.clone(),
            (None, Some(id)) => {
                let environment = self.context.variables.environment()?;
                environment
                    .collection("schedules")
                    .resource(id)
                    .get()
                    .await?
            }
            (None, None) => {
                let reason = "data or object_id is missing".to_owned();
                return Err(HandlerError::Invalid(reason));
            }
        };
        let method = schedule.get("method").and_then(Value::as_str);
        let Some(method) = method.map(str::to_owned) else {
            let reason = "the schedule does not say its method".to_owned();
            return Err(HandlerError::Invalid(reason));
        };
        self.application.run(&self.context, &method, schedule).await
    }

    /// Takes over what variables are.
    fn configure(&self, setup: Setup) {
        for variable in setup.variables {
            self.context.variables.note(&variable.name, &variable.value);
        }
    }
}

fn read(message: &Message) -> Result<Incoming, String> {
    match message {
        Message::Text(text) => message::read(text),
        Message::Binary(_) => Err("not a message: messages are texts".to_owned()),
    }
}
