//! The lifespan of an application: its start-up and its shutdown, which are one call.
//!
//! ```
//! use callgate::{AppError, BoxApp, LifespanStartupComplete, Receiver, Scope, SendEvent, Sender, State};
//! use callgate_drive::lifespan::{self, Startup};
//!
//! async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     receiver.receive().await; // `lifespan.startup`
//!     let mut state = State::new();
//!     state.insert("a pool of connections");
//!     sender.send(LifespanStartupComplete::with_state(state)).await?;
//!     receiver.receive().await; // `lifespan.shutdown`
//!     sender.send(SendEvent::LifespanShutdownComplete).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), String> {
//! let Startup::Complete(lifespan) = lifespan::start(&BoxApp::new(app)).await else {
//!     panic!("the application completes its start-up");
//! };
//! assert_eq!(lifespan.state().get::<&str>(), Some(&"a pool of connections"));
//! lifespan.shutdown().await
//! # }
//! ```

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use callgate::conversation::{LifespanConversation, LifespanPhase};
use callgate::{
    AppError, AppFuture, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, SendError,
    SendEvent, Sender, State,
};
use tokio_util::task::AbortOnDropHandle;

use crate::call::{Outcome, poll_caught};
use crate::escape::Escaped;
use crate::sync::{Mutex, register};

/// A lifespan whose start-up is complete and whose shutdown is to come.
///
/// The application's call runs on a task of its own. Dropping this drops the call.
#[derive(Debug)]
pub struct RunningLifespan {
    mailbox: Arc<Mailbox>,
    state: State,
    _task: AbortOnDropHandle<()>,
}

/// How start-up ended.
#[derive(Debug)]
pub enum Startup {
    /// The application completed its start-up.
    Complete(RunningLifespan),
    /// The application failed its start-up, for this reason.
    Failed(String),
    /// The application does not serve lifespan, which is no failure (rule `LIFE-07`).
    Declined,
}

/// Calls `app` with a lifespan scope and waits for the end of its start-up.
///
/// The application is called on a task of its own: an application that blocks its thread does not
/// block the caller.
///
/// # Panics
///
/// Outside a Tokio runtime.
pub async fn start(app: &BoxApp) -> Startup {
    let mailbox = Arc::new(Mailbox::new());
    let task = tokio::spawn(run(app.clone(), mailbox.clone()));
    let task = AbortOnDropHandle::new(task);
    match poll_fn(|cx| mailbox.poll_startup(cx)).await {
        StartupAnswer::Complete(state) => Startup::Complete(RunningLifespan {
            mailbox,
            state,
            _task: task,
        }),
        StartupAnswer::Failed(reason) => Startup::Failed(reason),
        StartupAnswer::Declined => Startup::Declined,
    }
}

async fn run(app: BoxApp, mailbox: Arc<Mailbox>) {
    let receiver = Receiver::new(mailbox.clone());
    let sender = Sender::new(mailbox.clone());
    let mut call: AppFuture = Box::pin(async move {
        let scope = LifespanScope::new().into();
        app.call_boxed(scope, receiver, sender).await
    });
    mailbox.end(poll_fn(|cx| poll_caught(&mut call, cx)).await);
}

impl RunningLifespan {
    /// Returns the state that start-up handed over, for each later scope (rule `SCOPE-17`).
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Runs the application's shutdown.
    ///
    /// # Errors
    ///
    /// Why the shutdown failed, or how the call failed before.
    pub async fn shutdown(self) -> Result<(), String> {
        self.mailbox.ask_to_shut_down();
        poll_fn(|cx| self.mailbox.poll_shutdown(cx)).await
    }
}

/// The application's answer to `lifespan.startup`.
#[derive(Debug)]
enum StartupAnswer {
    Complete(State),
    Failed(String),
    Declined,
}

/// What the application's call and the server share.
#[derive(Debug)]
struct Mailbox(Mutex<Progress>);

/// How far a lifespan has come.
#[derive(Debug)]
struct Progress {
    conversation: LifespanConversation,
    /// The event that the application receives next.
    to_receive: Option<ReceiveEvent>,
    startup: Option<StartupAnswer>,
    shutdown: Option<Result<(), String>>,
    receiver: Option<Waker>,
    server: Option<Waker>,
}

impl Mailbox {
    fn new() -> Self {
        Self(Mutex::new(Progress {
            conversation: LifespanConversation::new(),
            to_receive: Some(ReceiveEvent::LifespanStartup),
            startup: None,
            shutdown: None,
            receiver: None,
            server: None,
        }))
    }

    fn poll_startup(&self, cx: &mut Context<'_>) -> Poll<StartupAnswer> {
        let mut progress = self.0.lock();
        match progress.startup.take() {
            Some(startup) => Poll::Ready(startup),
            None => {
                register(&mut progress.server, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut progress = self.0.lock();
        match progress.shutdown.take() {
            Some(shutdown) => Poll::Ready(shutdown),
            None => {
                register(&mut progress.server, cx.waker());
                Poll::Pending
            }
        }
    }

    fn ask_to_shut_down(&self) {
        let receiver = {
            let mut progress = self.0.lock();
            progress.to_receive = Some(ReceiveEvent::LifespanShutdown);
            progress.receiver.take()
        };
        receiver.inspect(Waker::wake_by_ref);
    }

    /// Changes the progress, and wakes the server. The mutex is not held while the waker runs, which
    /// may poll this mailbox.
    fn advance<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let (result, server) = {
            let mut progress = self.0.lock();
            let result = change(&mut progress);
            (result, progress.server.take())
        };
        server.inspect(Waker::wake_by_ref);
        result
    }

    /// Notes that the call has ended, which answers what the application has not answered.
    fn end(&self, outcome: Outcome) {
        let (phase, result) = self.advance(|progress| {
            let phase = progress.conversation.phase().clone();
            let returned = progress.conversation.returned();
            let result = match outcome {
                Outcome::Returned(Err(AppError::Unsupported))
                    if phase == LifespanPhase::Starting =>
                {
                    progress.startup = Some(StartupAnswer::Declined);
                    return (phase, Ok(()));
                }
                Outcome::Returned(Ok(())) => returned.map_err(|violation| violation.to_string()),
                Outcome::Returned(Err(error)) => Err(error.to_string()),
                Outcome::Panicked(message) => Err(format!("the application panicked: {message}")),
            };
            progress.answer_with(&result);
            (phase, result)
        });
        match (phase, result) {
            (LifespanPhase::Started, Ok(())) => {
                tracing::warn!("the application's lifespan call ended before the shutdown");
            }
            (LifespanPhase::Started, Err(reason)) => {
                let reason = Escaped(reason);
                tracing::error!("the application's lifespan call failed: {reason}");
            }
            _ => {}
        }
    }
}

impl Progress {
    /// Answers what the application has not answered.
    fn answer_with(&mut self, result: &Result<(), String>) {
        if let Err(reason) = result {
            self.startup
                .get_or_insert_with(|| StartupAnswer::Failed(reason.clone()));
        }
        self.shutdown.get_or_insert_with(|| result.clone());
    }
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut progress = self.0.lock();
        match progress.to_receive.take() {
            Some(event) => {
                if event == ReceiveEvent::LifespanShutdown {
                    progress.conversation.shutdown_received();
                }
                Poll::Ready(event)
            }
            None => {
                register(&mut progress.receiver, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &self,
        _: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let result = self.advance(|progress| {
            let sent = event.as_ref().expect("an event to send");
            let result = progress.conversation.send(sent);
            match (&result, event.take_if(|_| result.is_ok())) {
                (_, Some(SendEvent::LifespanStartupComplete(complete))) => {
                    progress.startup = Some(StartupAnswer::Complete(complete.state));
                }
                (_, Some(SendEvent::LifespanStartupFailed(failed))) => {
                    progress.startup = Some(StartupAnswer::Failed(failed.message));
                }
                (_, Some(SendEvent::LifespanShutdownComplete)) => progress.shutdown = Some(Ok(())),
                (_, Some(SendEvent::LifespanShutdownFailed(failed))) => {
                    progress.shutdown = Some(Err(failed.message));
                }
                (Err(SendError::Violation(violation)), _) => {
                    progress.answer_with(&Err(violation.to_string()));
                }
                _ => {}
            }
            result
        });
        if let Err(SendError::Violation(violation)) = &result {
            tracing::error!(rule = violation.rule.id, "LIFESPAN: {}", Escaped(violation));
        }
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use callgate::{LifespanStartupComplete, Scope};

    use super::*;
    use crate::test_log;

    async fn failing(
        text: &'static str,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Scope::Lifespan(_) = scope else {
            return Err(AppError::Unsupported);
        };
        receiver.receive().await;
        sender.send(LifespanStartupComplete::new()).await?;
        Err(AppError::failed(text))
    }

    #[tokio::test]
    async fn the_failure_of_a_lifespan_cannot_forge_a_line_of_the_log() {
        let (log, _guard) = test_log::capture();
        let app = BoxApp::new(|scope, receiver, sender| {
            failing("lost\nINFO all is\u{202e} well", scope, receiver, sender)
        });
        let Startup::Complete(lifespan) = start(&app).await else {
            panic!("start-up is complete");
        };
        let reason = lifespan.shutdown().await.unwrap_err();
        assert!(reason.contains("lost\nINFO"), "{reason}");
        let log = log.text();
        assert!(log.contains(r"lost\nINFO all is\u{202e} well"), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }

    #[tokio::test]
    async fn a_panic_before_the_first_poll_fails_start_up() {
        fn panics(_: Scope, _: Receiver, _: Sender) -> AppFuture {
            panic!("no luck")
        }
        let startup = start(&BoxApp::new(panics)).await;
        assert!(
            matches!(&startup, Startup::Failed(reason) if reason.contains("no luck")),
            "{startup:?}"
        );
    }

    /// Polls the mailbox when it is woken, as an executor may that runs a task at once.
    struct PollsAtOnce(Arc<Mailbox>);

    impl Wake for PollsAtOnce {
        fn wake(self: Arc<Self>) {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.0.poll_shutdown(&mut cx);
            let _ = self.0.poll_receive(&mut cx);
        }
    }

    #[test]
    fn tasks_are_woken_while_the_mailbox_is_not_locked() {
        let mailbox = Arc::new(Mailbox::new());
        let waker = Waker::from(Arc::new(PollsAtOnce(mailbox.clone())));
        let mut cx = Context::from_waker(&waker);
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        assert!(mailbox.poll_receive(&mut cx).is_pending());
        mailbox.ask_to_shut_down();
        assert!(mailbox.poll_startup(&mut cx).is_pending());
        let complete = LifespanStartupComplete::new();
        assert!(
            mailbox
                .poll_send(&mut cx, &mut Some(complete.into()))
                .is_ready()
        );
        assert!(mailbox.poll_shutdown(&mut cx).is_pending());
        mailbox.end(Outcome::Panicked("no luck".into()));
    }
}
