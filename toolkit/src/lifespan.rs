//! Start-up and shutdown.
//!
//! - [`with_resource`] gives an application something that is opened at start-up and closed at
//!   shutdown.
//! - [`Started`] drives the lifespan of an application from inside a program: what a server does at
//!   its start and at its end. [`Mounts`](crate::mount::Mounts) does it for the applications that it
//!   holds.

mod resource;

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::conversation::LifespanConversation;
use callgate::{
    App, AppError, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, Sender, State,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::call::{Ended, poll_caught};
use callgate::transcript::{Entry, Transcript};

pub use self::resource::with_resource;

/// An application whose start-up is complete and whose shutdown is to come.
///
/// Dropped without [`shut_down`](Self::shut_down), the call is dropped where it stands.
///
/// ```
/// use callgate::{AppError, LifespanStartupComplete, Receiver, Scope, SendEvent, Sender, State};
/// use callgate_toolkit::lifespan::Started;
///
/// async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     let Scope::Lifespan(_) = scope else {
///         return Err(AppError::Unsupported);
///     };
///     receiver.receive().await;
///     let mut state = State::new();
///     state.insert("a pool of connections");
///     sender.send(LifespanStartupComplete::with_state(state)).await?;
///     receiver.receive().await;
///     sender.send(SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new())).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), String> {
/// let started = Started::start(app).await?.expect("it serves lifespan");
/// assert_eq!(started.state().get::<&str>(), Some(&"a pool of connections"));
/// started.shut_down().await
/// # }
/// ```
#[derive(Debug)]
pub struct Started {
    state: State,
    link: Arc<Link>,
    events: UnboundedSender<ReceiveEvent>,
    steps: UnboundedReceiver<Step>,
    /// The one call; a set, because that aborts it when dropped.
    _call: JoinSet<()>,
}

impl Started {
    /// Calls `app` with a lifespan scope and waits until its start-up is complete. `None` when it
    /// declines, which is fine (rule `LIFE-07`).
    ///
    /// # Errors
    ///
    /// Why the start-up failed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub async fn start(app: impl App) -> Result<Option<Self>, String> {
        let (events, events_received) = unbounded_channel();
        let (steps_sent, mut steps) = unbounded_channel();
        let link = Arc::new(Link {
            conversation: Mutex::default(),
            transcript: Mutex::default(),
            events: Mutex::new(events_received),
            steps: steps_sent,
        });
        let scope = Scope::from(LifespanScope::new());
        link.note(Entry::Called(scope.clone()));
        let mut call = BoxApp::new(app).call_boxed(
            scope,
            Receiver::new(link.clone()),
            Sender::new(link.clone()),
        );
        let mut calls = JoinSet::new();
        calls.spawn({
            let link = link.clone();
            async move { link.end(poll_fn(|cx| poll_caught(&mut call, cx)).await) }
        });

        // Only a call that has ended does not take it, and then the next step says so.
        let _ = events.send(ReceiveEvent::LifespanStartup);
        match steps.recv().await {
            Some(Step::Answer(SendEvent::LifespanStartupComplete(complete))) => Ok(Some(Self {
                state: complete.state,
                link,
                events,
                steps,
                _call: calls,
            })),
            Some(Step::Ended(Err(AppError::Unsupported))) => Ok(None),
            step => Err(failure(step)),
        }
    }

    /// What start-up handed over, for each later scope (rule `SCOPE-17`).
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The events so far.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.link.transcript.lock().unwrap().clone()
    }

    /// Tells the application to put everything away, and waits until it has.
    ///
    /// # Errors
    ///
    /// Why that failed; or why its call had ended before.
    pub async fn shut_down(mut self) -> Result<(), String> {
        let _ = self.events.send(ReceiveEvent::LifespanShutdown);
        match self.steps.recv().await {
            Some(Step::Answer(SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new())) | Step::Ended(Ok(()))) => Ok(()),
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

/// What the application holds the other ends of.
#[derive(Debug)]
struct Link {
    conversation: Mutex<LifespanConversation>,
    transcript: Mutex<Transcript>,
    events: Mutex<UnboundedReceiver<ReceiveEvent>>,
    steps: UnboundedSender<Step>,
}

impl Link {
    fn note(&self, entry: Entry) {
        self.transcript.lock().unwrap().push(entry);
    }

    /// Notes the end of the call, after which nothing can be sent.
    fn end(&self, ended: Ended) {
        self.note(ended.entry());
        let returned = self.conversation.lock().unwrap().returned();
        let outcome = match ended {
            Ended::Returned(result) => {
                result.and_then(|()| returned.map_err(|broken| SendError::from(broken).into()))
            }
            Ended::Panicked(message) => Err(AppError::failed(format!("it panicked: {message}"))),
        };
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
                self.note(Entry::Received(event.clone()));
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
        self.note(Entry::Sent(event.clone(), result.clone()));
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
