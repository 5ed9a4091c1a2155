//! One call of the application: how it is polled, and what its end means.

use std::any::Any;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{AppError, AppFuture, BoxApp, Channel, Receiver, Scope, Sender, Violation};
use http::StatusCode;
use tokio::task::coop::unconstrained;

use crate::report::{self, RequestLine};

/// The server's end of a mailbox, as far as the end of a call goes.
pub trait ServerEnd: Send + Sync + 'static {
    /// Notes that the call has ended: with success, or with a failure for which this status is the
    /// answer if nothing has been sent. Returns the rule that the application broke, if it did.
    fn end(&self, failure: Option<StatusCode>) -> Option<Violation>;

    /// Notes that the client is gone, and tells the application.
    fn disconnect(&self);

    /// Whether nothing has been sent to the client, so that the application can still decline.
    fn is_declinable(&self) -> bool;

    /// Ready once the client is gone, or a rule was broken, while the application was not through.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ready once the client has all that it will get, while the application was not through: it
    /// wants no content (HEAD), or has all that `content-length` says.
    fn poll_unheard(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Where the end of a call is told: a mailbox, or what is in it when nobody else has it any more.
pub(crate) trait Ending {
    /// As [`ServerEnd::is_declinable`].
    fn is_declinable(&self) -> bool;

    /// As [`ServerEnd::end`].
    fn end(&mut self, failure: Option<StatusCode>) -> Option<Violation>;
}

impl<E: ServerEnd> Ending for &E {
    fn is_declinable(&self) -> bool {
        E::is_declinable(self)
    }

    fn end(&mut self, failure: Option<StatusCode>) -> Option<Violation> {
        E::end(self, failure)
    }
}

/// A call of the application.
pub struct Call {
    /// None once it has ended.
    future: Option<AppFuture>,
    request: RequestLine,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Returned(Result<(), AppError>),
    Panicked(String),
}

impl Call {
    /// Calls the application, with `channel` as the other end of its receiver and its sender.
    pub fn new(
        app: &BoxApp,
        scope: Scope,
        channel: &Arc<impl Channel>,
        request: RequestLine,
    ) -> Self {
        let receiver = Receiver::new(channel.clone());
        let sender = Sender::new(channel.clone());
        Self {
            future: Some(app.call_boxed(scope, receiver, sender)),
            request,
        }
    }

    /// Polls the application once. When its call ends, tells the mailbox and reports a failure.
    pub fn poll(&mut self, cx: &mut Context<'_>, mut end: &impl ServerEnd) -> Poll<()> {
        if self.future.is_some() {
            let outcome = ready!(self.poll_outcome(cx));
            self.ended(outcome, &mut end);
        }
        Poll::Ready(())
    }

    /// Polls the application once. Not to be polled again after its call has ended.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let future = self.future.as_mut().expect("not polled after its end");
        let outcome = ready!(poll_caught(future, cx));
        self.future = None;
        Poll::Ready(outcome)
    }

    /// Runs the call to its end, or to that of the grace period that it has after a disconnect. One
    /// that goes on with content when the client has all that it will get has that period as well,
    /// and then learns that nobody is there.
    ///
    /// Within a Tokio runtime, as all that waits for a time.
    pub async fn run(mut self, end: Arc<impl ServerEnd>, grace: Duration) {
        // Goes off even if the call uses up all that a task may do at a time.
        let timer = || unconstrained(tokio::time::sleep(grace));
        let is_ended = {
            let call = poll_fn(|cx| self.poll(cx, &*end));
            let out_of_grace = async {
                poll_fn(|cx| end.poll_disconnected(cx)).await;
                timer().await;
            };
            let disconnect_unheard = async {
                poll_fn(|cx| end.poll_unheard(cx)).await;
                timer().await;
                end.disconnect();
                pending().await
            };
            tokio::select! {
                biased;
                () = call => true,
                is_ended = disconnect_unheard => is_ended,
                () = out_of_grace => false,
            }
        };
        if !is_ended {
            report::out_of_grace(&self.request);
        }
    }

    /// Ends a call that cannot go on, as if it had failed with this error.
    pub fn fail(mut self, mut end: &impl ServerEnd, error: AppError) {
        self.future = None;
        self.ended(Outcome::Returned(Err(error)), &mut end);
    }

    /// Tells the end of the call, and reports a failure.
    pub(crate) fn ended(&self, outcome: Outcome, end: &mut impl Ending) {
        const FAILED: Option<StatusCode> = Some(StatusCode::INTERNAL_SERVER_ERROR);
        match outcome {
            Outcome::Returned(Ok(())) => {
                if let Some(violation) = end.end(None) {
                    report::violation(&self.request, &violation);
                }
            }
            Outcome::Returned(Err(AppError::Unsupported)) if end.is_declinable() => {
                end.end(Some(StatusCode::NOT_IMPLEMENTED));
                report::declined(&self.request);
            }
            Outcome::Returned(Err(error)) => {
                let violation = end.end(FAILED);
                if !error.is_disconnected() {
                    report::failure(&self.request, &error, violation.as_ref());
                }
            }
            Outcome::Panicked(message) => {
                end.end(FAILED);
                report::panic(&self.request, &message);
            }
        }
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Call").field(&self.request).finish()
    }
}

/// Polls the application once; a panic ends the call and nothing else (rule `CORE-15`).
pub(crate) fn poll_caught(future: &mut AppFuture, cx: &mut Context<'_>) -> Poll<Outcome> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Outcome::Returned),
        Err(panic) => Poll::Ready(Outcome::Panicked(panic_message(&*panic))),
    }
}

/// Returns the message of a panic that has been caught.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
