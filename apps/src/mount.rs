//! The lifespan of an application, driven from inside another: what a server does, in small.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::conversation::LifespanConversation;
use callgate::{
    AppError, AppFuture, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, SendError,
    SendEvent, Sender, State,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// An application whose start-up is complete and whose shutdown is to come.
///
/// Dropped without [`shut_down`](Self::shut_down), the application is stopped where it stands.
#[derive(Debug)]
pub struct Started {
    /// What its start-up handed over, for each of its scopes.
    pub state: State,
    events: UnboundedSender<ReceiveEvent>,
    steps: UnboundedReceiver<Step>,
    /// The one call; a set, because that aborts it when dropped.
    _call: JoinSet<()>,
}

impl Started {
    /// Calls `app` with a lifespan scope and waits until its start-up is complete. `None` when it
    /// declines, which is fine.
    ///
    /// # Errors
    ///
    /// Why the start-up failed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub async fn start(app: &BoxApp) -> Result<Option<Self>, String> {
        let (events, events_received) = unbounded_channel();
        let (steps_sent, mut steps) = unbounded_channel();
        let link = Arc::new(Link {
            conversation: Mutex::default(),
            events: Mutex::new(events_received),
            steps: steps_sent,
        });
        let call = app.call_boxed(
            LifespanScope::new().into(),
            Receiver::new(link.clone()),
            Sender::new(link.clone()),
        );
        let mut calls = JoinSet::new();
        calls.spawn(async move { link.end(outcome(call).await) });

        // Only a call that has ended does not take it, and then the next step says so.
        let _ = events.send(ReceiveEvent::LifespanStartup);
        match steps.recv().await {
            Some(Step::Answer(SendEvent::LifespanStartupComplete(complete))) => Ok(Some(Self {
                state: complete.state,
                events,
                steps,
                _call: calls,
            })),
            Some(Step::Ended(Err(AppError::Unsupported))) => Ok(None),
            step => Err(failure(step)),
        }
    }

    /// Tells the application to put everything away, and waits until it has.
    ///
    /// # Errors
    ///
    /// Why that failed; or why its call had ended before.
    pub async fn shut_down(mut self) -> Result<(), String> {
        let _ = self.events.send(ReceiveEvent::LifespanShutdown);
        match self.steps.recv().await {
            Some(Step::Answer(SendEvent::LifespanShutdownComplete) | Step::Ended(Ok(()))) => Ok(()),
            step => Err(failure(step)),
        }
    }
}

/// What a lifespan call did next.
#[derive(Debug)]
enum Step {
    Answer(SendEvent),
    Ended(Result<(), AppError>),
}

fn failure(step: Option<Step>) -> String {
    match step {
        Some(Step::Answer(SendEvent::LifespanStartupFailed(failed))) => failed.message,
        Some(Step::Answer(SendEvent::LifespanShutdownFailed(failed))) => failed.message,
        Some(Step::Ended(Err(error))) => error.to_string(),
        _ => "it did not answer".to_owned(),
    }
}

/// How the call ends; a panic is a failure like any other.
async fn outcome(mut call: AppFuture) -> Result<(), AppError> {
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(AppError::failed("it panicked"))))
    })
    .await
}

/// What the application holds the other ends of.
struct Link {
    conversation: Mutex<LifespanConversation>,
    events: Mutex<UnboundedReceiver<ReceiveEvent>>,
    steps: UnboundedSender<Step>,
}

impl Link {
    /// Notes the end of the call, after which nothing can be sent.
    fn end(&self, outcome: Result<(), AppError>) {
        let returned = self.conversation.lock().unwrap().returned();
        let outcome =
            outcome.and_then(|()| returned.map_err(|broken| SendError::from(broken).into()));
        // Nobody listens when the shutdown has been answered.
        let _ = self.steps.send(Step::Ended(outcome));
    }
}

impl Channel for Link {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        match ready!(self.events.lock().unwrap().poll_recv(cx)) {
            Some(event) => {
                if event == ReceiveEvent::LifespanShutdown {
                    self.conversation.lock().unwrap().shutdown_received();
                }
                Poll::Ready(event)
            }
            // All has been said, and the call is about to be aborted.
            None => Poll::Pending,
        }
    }

    fn poll_send(
        &self,
        _cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let event = event.take().expect("an event to send");
        let result = self.conversation.lock().unwrap().send(&event);
        let step = match &result {
            Ok(()) => Step::Answer(event),
            // A broken rule ends the lifespan, whether or not the application passes it on.
            Err(error @ SendError::Violation(_)) => Step::Ended(Err(error.clone().into())),
            Err(_) => return Poll::Ready(result),
        };
        let is_heard = self.steps.send(step).is_ok();
        Poll::Ready(result.and(is_heard.then_some(()).ok_or(SendError::Disconnected)))
    }
}
