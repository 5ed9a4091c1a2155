//! The lifespan of an application: one call for its start-up and its shutdown.
//!
//! ```
//! use callgate::{AppError, BoxApp, LifespanShutdownComplete, LifespanStartupComplete};
//! use callgate::{Receiver, Scope, Sender, State};
//! use callgate_drive::lifespan::{self, Startup};
//!
//! async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     receiver.receive().await; // `lifespan.startup`
//!     let mut state = State::new();
//!     state.insert("a pool of connections");
//!     sender.send(LifespanStartupComplete::with_state(state)).await?;
//!     receiver.receive().await; // `lifespan.shutdown`
//!     sender.send(LifespanShutdownComplete::new()).await?;
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
    SendEvent, SendProgress, Sender, State,
};
use tokio_util::task::AbortOnDropHandle;

use crate::call::{CallResult, poll_caught};
use crate::escape::Escaped;
use crate::sync::{Deferring, Mutex, WakeList, register};
use crate::task;

/// A lifespan whose start-up is complete and whose shutdown is to come.
///
/// The application's call runs on a task of its own, and is dropped with the `RunningLifespan`.
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
    /// The start-up failed, for this reason.
    Failed(String),
    /// The application does not serve lifespan, which is not a failure (rule `LIFE-07`).
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
    let task = task::spawn(run(app.clone(), mailbox.clone()));
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
    /// Returns the state that the application returned from start-up. Each later scope has it (rule
    /// `SCOPE-17`).
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Runs the application's shutdown.
    ///
    /// # Errors
    ///
    /// The reason for which the shutdown failed, or for which the call ended before.
    pub async fn shutdown(self) -> Result<(), String> {
        self.mailbox.ask_to_shut_down();
        poll_fn(|cx| self.mailbox.poll_shutdown(cx)).await
    }
}

/// The application's response to `lifespan.startup`.
#[derive(Debug)]
enum StartupAnswer {
    Complete(State),
    Failed(String),
    Declined,
}

/// The channel between the application's call and the server.
#[derive(Debug)]
struct Mailbox(Mutex<Progress>);

/// The state of a lifespan.
#[derive(Debug)]
struct Progress {
    conversation: LifespanConversation,
    /// The event that the application receives next.
    to_receive: Option<ReceiveEvent>,
    /// Whether `lifespan.shutdown` is to be received after that.
    is_shutting_down: bool,
    startup: Option<StartupAnswer>,
    shutdown: Option<Result<(), String>>,
    receiver: Option<Waker>,
    server: Option<Waker>,
    wakes: WakeList,
}

impl Mailbox {
    fn new() -> Self {
        Self(Mutex::new(Progress {
            conversation: LifespanConversation::new(),
            to_receive: Some(ReceiveEvent::LifespanStartup),
            is_shutting_down: false,
            startup: None,
            shutdown: None,
            receiver: None,
            server: None,
            wakes: WakeList::default(),
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
        let progress = &mut *self.0.lock();
        progress.is_shutting_down = true;
        progress.wakes.add(&mut progress.receiver);
    }

    /// Records that the call has ended, which decides the start-up or shutdown that is pending.
    fn end(&self, result: CallResult) {
        let (phase, result) = self.0.lock().end(result);
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

impl Deferring for Progress {
    type Work = WakeList;

    fn take_work(&mut self) -> Option<WakeList> {
        (!self.wakes.is_empty()).then(|| std::mem::take(&mut self.wakes))
    }

    fn run(work: WakeList) {
        work.wake();
    }
}

impl Progress {
    fn send(&mut self, event: SendEvent) -> Result<(), SendError> {
        let result = self.conversation.send(&event);
        match (&result, event) {
            (Ok(()), SendEvent::LifespanStartupComplete(complete)) => {
                self.startup = Some(StartupAnswer::Complete(complete.state));
            }
            (Ok(()), SendEvent::LifespanStartupFailed(failed)) => {
                self.startup = Some(StartupAnswer::Failed(failed.message));
            }
            (Ok(()), SendEvent::LifespanShutdownComplete(_)) => self.shutdown = Some(Ok(())),
            (Ok(()), SendEvent::LifespanShutdownFailed(failed)) => {
                self.shutdown = Some(Err(failed.message));
            }
            (Err(SendError::Violation(violation)), _) => {
                self.answer_with(&Err(violation.to_string()));
            }
            _ => {}
        }
        self.wakes.add(&mut self.server);
        result
    }

    /// Records that the call has ended. Returns the phase that the conversation was in, and how the
    /// call ended.
    fn end(&mut self, result: CallResult) -> (LifespanPhase, Result<(), String>) {
        let phase = self.conversation.phase().clone();
        let returned = self.conversation.returned();
        self.wakes.add(&mut self.server);
        let result = match result {
            CallResult::Returned(Err(AppError::Unsupported))
                if phase == LifespanPhase::Starting =>
            {
                self.startup = Some(StartupAnswer::Declined);
                return (phase, Ok(()));
            }
            CallResult::Returned(Ok(())) => returned.map_err(|violation| violation.to_string()),
            CallResult::Returned(Err(error)) => Err(error.to_string()),
            CallResult::Panicked(message) => Err(format!("the application panicked: {message}")),
        };
        self.answer_with(&result);
        (phase, result)
    }

    /// Sets the result of a start-up or shutdown that the application has not completed.
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
            Some(event) => Poll::Ready(event),
            None if std::mem::take(&mut progress.is_shutting_down) => {
                progress.conversation.shutdown_received();
                Poll::Ready(ReceiveEvent::LifespanShutdown)
            }
            None => {
                register(&mut progress.receiver, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let result = self.0.lock().send(event);
        if let Err(SendError::Violation(violation)) = &result {
            tracing::error!(
                rule = violation.rule.id,
                document = violation.rule.document_url(),
                "LIFESPAN: {}",
                Escaped(violation)
            );
        }
        result.map(|()| SendProgress::Sent)
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

    /// A waker that polls the mailbox, as an executor may that runs a task at once.
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
        mailbox.start_send(complete.into()).unwrap();
        assert!(mailbox.poll_shutdown(&mut cx).is_pending());
        mailbox.end(CallResult::Panicked("no luck".into()));
    }

    #[test]
    fn an_application_that_has_not_received_its_start_up_receives_it_before_the_shutdown() {
        let mailbox = Mailbox::new();
        let mut cx = Context::from_waker(Waker::noop());
        mailbox
            .start_send(LifespanStartupComplete::new().into())
            .unwrap();
        mailbox.ask_to_shut_down();
        for expected in [
            ReceiveEvent::LifespanStartup,
            ReceiveEvent::LifespanShutdown,
        ] {
            assert_eq!(mailbox.poll_receive(&mut cx), Poll::Ready(expected));
        }
        assert!(mailbox.poll_receive(&mut cx).is_pending());
    }
}
