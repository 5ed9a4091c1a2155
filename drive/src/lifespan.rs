//! The lifespan of an application: its start-up and its shutdown, as one call.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use callgate::conversation::{LifespanConversation, LifespanPhase};
use callgate::{
    AppError, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, SendError, SendEvent, Sender,
    State,
};
use tokio_util::task::AbortOnDropHandle;

use crate::call::{Outcome, poll_caught};
use crate::sync::{Mutex, register, wake};

/// A lifespan whose start-up is complete. Its call runs on a task of its own, which ends with it.
#[derive(Debug)]
pub struct Lifespan {
    mailbox: Arc<Mailbox>,
    _task: AbortOnDropHandle<()>,
}

/// How start-up ended.
#[derive(Debug)]
pub enum Startup {
    /// With success: what shuts it down, and the state for every scope.
    Complete(Lifespan, State),
    /// With a failure, for this reason.
    Failed(String),
    /// The application does without.
    Declined,
}

/// Runs the application's start-up, within a Tokio runtime.
pub async fn start(app: &BoxApp) -> Startup {
    let mailbox = Arc::new(Mailbox::new());
    let mut call = app.call_boxed(
        LifespanScope::new().into(),
        Receiver::new(mailbox.clone()),
        Sender::new(mailbox.clone()),
    );
    let task = tokio::spawn({
        let mailbox = mailbox.clone();
        async move { mailbox.end(poll_fn(|cx| poll_caught(&mut call, cx)).await) }
    });
    let lifespan = Lifespan {
        mailbox,
        _task: AbortOnDropHandle::new(task),
    };
    match poll_fn(|cx| lifespan.mailbox.poll_startup(cx)).await {
        Answer::Complete(state) => Startup::Complete(lifespan, state),
        Answer::Failed(reason) => Startup::Failed(reason),
        Answer::Declined => Startup::Declined,
    }
}

impl Lifespan {
    /// Runs the application's shutdown. The error says why it failed, or how the call has ended
    /// before.
    pub async fn shutdown(self) -> Result<(), String> {
        self.mailbox.ask_to_shut_down();
        poll_fn(|cx| self.mailbox.poll_shutdown(cx)).await
    }
}

/// What the application said of start-up.
#[derive(Debug)]
enum Answer {
    Complete(State),
    Failed(String),
    Declined,
}

/// What the application and the server share of the lifespan.
#[derive(Debug)]
struct Mailbox(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    conversation: LifespanConversation,
    /// The next event to be received.
    next: Option<ReceiveEvent>,
    startup: Option<Answer>,
    shutdown: Option<Result<(), String>>,
    receiver: Option<Waker>,
    server: Option<Waker>,
}

impl Mailbox {
    fn new() -> Self {
        Self(Mutex::new(Inner {
            conversation: LifespanConversation::new(),
            next: Some(ReceiveEvent::LifespanStartup),
            startup: None,
            shutdown: None,
            receiver: None,
            server: None,
        }))
    }

    fn poll_startup(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut inner = self.0.lock();
        match inner.startup.take() {
            Some(startup) => Poll::Ready(startup),
            None => {
                register(&mut inner.server, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut inner = self.0.lock();
        match inner.shutdown.take() {
            Some(shutdown) => Poll::Ready(shutdown),
            None => {
                register(&mut inner.server, cx.waker());
                Poll::Pending
            }
        }
    }

    fn ask_to_shut_down(&self) {
        let mut inner = self.0.lock();
        inner.next = Some(ReceiveEvent::LifespanShutdown);
        wake(&mut inner.receiver);
    }

    /// Notes that the call has ended, which answers whatever had not been answered.
    fn end(&self, outcome: Outcome) {
        let mut inner = self.0.lock();
        let phase = inner.conversation.phase().clone();
        let returned = inner.conversation.returned();
        let result = match outcome {
            Outcome::Returned(Err(AppError::Unsupported)) if phase == LifespanPhase::Starting => {
                inner.startup = Some(Answer::Declined);
                wake(&mut inner.server);
                return;
            }
            Outcome::Returned(Ok(())) => returned.map_err(|violation| violation.to_string()),
            Outcome::Returned(Err(error)) => Err(error.to_string()),
            Outcome::Panicked(message) => Err(format!("the application panicked: {message}")),
        };
        match (&phase, &result) {
            (LifespanPhase::Started, Ok(())) => {
                tracing::warn!("the application's lifespan call ended before the shutdown");
            }
            (LifespanPhase::Started, Err(reason)) => {
                tracing::error!("the application's lifespan call failed: {reason}");
            }
            _ => {}
        }
        inner.fail_or(result);
    }
}

impl Inner {
    /// Answers what has not been answered.
    fn fail_or(&mut self, result: Result<(), String>) {
        if let Err(reason) = &result {
            self.startup
                .get_or_insert_with(|| Answer::Failed(reason.clone()));
        }
        self.shutdown.get_or_insert(result);
        wake(&mut self.server);
    }
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut inner = self.0.lock();
        match inner.next.take() {
            Some(event) => {
                if event == ReceiveEvent::LifespanShutdown {
                    inner.conversation.shutdown_received();
                }
                Poll::Ready(event)
            }
            None => {
                register(&mut inner.receiver, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &self,
        _: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut inner = self.0.lock();
        let sent = event.as_ref().expect("an event to send");
        let result = inner.conversation.send(sent);
        match (&result, event.take_if(|_| result.is_ok())) {
            (_, Some(SendEvent::LifespanStartupComplete(complete))) => {
                inner.startup = Some(Answer::Complete(complete.state));
            }
            (_, Some(SendEvent::LifespanStartupFailed(failed))) => {
                inner.startup = Some(Answer::Failed(failed.message));
            }
            (_, Some(SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new()))) => inner.shutdown = Some(Ok(())),
            (_, Some(SendEvent::LifespanShutdownFailed(failed))) => {
                inner.shutdown = Some(Err(failed.message));
            }
            (Err(SendError::Violation(violation)), _) => {
                let reason = violation.to_string();
                tracing::error!(rule = violation.rule.id, "LIFESPAN: {violation}");
                inner.fail_or(Err(reason));
            }
            _ => {}
        }
        wake(&mut inner.server);
        Poll::Ready(result)
    }
}
