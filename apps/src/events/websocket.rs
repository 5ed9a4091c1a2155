//! Events over a WebSocket: it receives tasks, and sends each result as soon as it is ready.

use callgate::{AppError, Message, Receiver, Sender, WebSocketAccept, WebSocketScope};
use callgate_drive::Escaped;
use callgate_toolkit::websocket::{WebSocket, WebSocketUpgrade};
use serde_json::Value;
use tokio::task::JoinSet;

use super::app::{EventsApp, log_output};
use super::message::{self, ConnectMessage, Setup, Task};
use super::registry::Category;
use super::response::{HandlerError, Output};
use crate::http_errors;

/// The number of tasks of a WebSocket that run at a time. No further message is received until a
/// task is done.
const MAX_RUNNING: usize = 32;

impl EventsApp {
    /// Serves a WebSocket.
    pub(super) async fn serve_websocket(
        &self,
        scope: &WebSocketScope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        if scope.route_path() != "/ws" {
            let error = http_errors::not_found();
            return http_errors::deny(scope, receiver, sender, &error).await;
        }
        let upgrade = WebSocketUpgrade::new(scope, receiver, sender);
        let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
        let mut tasks = JoinSet::new();
        let result = self.take_tasks(&mut socket, &mut tasks).await;
        // Tasks that run are finished, although their results cannot be sent.
        while let Some(done) = tasks.join_next().await {
            if done.is_ok() {
                tracing::warn!("A result is lost: its WebSocket was closed");
            }
        }
        result
    }

    async fn take_tasks(
        &self,
        socket: &mut WebSocket,
        tasks: &mut JoinSet<String>,
    ) -> Result<(), AppError> {
        let setup = message::setup_request(&self.registry.setup_request());
        socket.send(Message::text(setup)).await?;
        loop {
            let reply = tokio::select! {
                Some(done) = tasks.join_next() => done.map_err(AppError::failed)?,
                message = socket.receive(), if tasks.len() < MAX_RUNNING => match message {
                    None => return Ok(()),
                    Some(message) => match parse(&message) {
                        Ok(ConnectMessage::Task(task)) => {
                            let app = self.clone();
                            tasks.spawn(async move { app.run_task(*task).await });
                            continue;
                        }
                        Ok(ConnectMessage::Setup(setup)) => {
                            self.configure(setup);
                            continue;
                        }
                        Err(reason) => {
                            tracing::info!("A message was refused: {}", Escaped(&reason));
                            message::error(&reason)
                        }
                    },
                },
            };
            socket.send(Message::text(reply)).await?;
        }
    }

    /// Runs a task and returns its reply.
    async fn run_task(&self, task: Task) -> String {
        let output = match task.options.task_category {
            Category::Scheduled => {
                let run = self.run_scheduled(&task).await;
                run.unwrap_or_else(|error| error.scheduled())
            }
            _ => self.registry.handle(&self.context, &task.event()).await,
        };
        log_output(&format!("Task {}", task.options.task_id), &output);
        task.reply(output)
    }

    /// Runs the schedulable of a schedule of Connect. If the task does not have the schedule, it is
    /// fetched.
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
        self.registry.run(&self.context, &method, schedule).await
    }

    /// Stores the values of variables that Connect sends.
    fn configure(&self, setup: Setup) {
        for variable in setup.variables {
            self.context
                .variables
                .store(&variable.name, &variable.value);
        }
    }
}

fn parse(message: &Message) -> Result<ConnectMessage, String> {
    match message {
        Message::Text(text) => message::parse(text),
        Message::Binary(_) => Err("not a message: messages are texts".to_owned()),
    }
}
