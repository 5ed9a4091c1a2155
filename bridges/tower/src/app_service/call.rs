//! One call of the application: how it is polled, and what its end means.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{AppError, AppFuture, BoxApp, Channel, Receiver, Scope, Sender, Violation};
use http::{StatusCode, Uri};
use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;

use super::body::Source as _;
use super::mailbox::Mailbox;

/// The service's end of a mailbox, as far as the end of a call goes.
pub(super) trait CallEnd: Send + Sync + 'static {
    /// Notes that the call has ended: with success, or with a failure for which this status is the
    /// answer if nothing has been sent. Returns the rule that the application broke, if it did.
    fn end(&self, failure: Option<StatusCode>) -> Option<Violation>;

    /// Whether nothing has been sent to the client, so that the application can still decline.
    fn is_declinable(&self) -> bool;

    /// Ready once the client is gone, or a rule was broken, while the application was not through.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A call of the application that has not ended.
pub(super) struct Call {
    future: AppFuture,
    target: Uri,
    grace: Duration,
}

enum Outcome {
    Returned(Result<(), AppError>),
    Panicked(String),
}

impl Call {
    /// Calls the application, with `channel` as the other end of its receiver and its sender.
    pub(super) fn new(
        app: &BoxApp,
        scope: Scope,
        channel: &Arc<impl Channel>,
        grace: Duration,
    ) -> Self {
        let target = scope.uri().cloned().unwrap_or_default();
        let receiver = Receiver::new(channel.clone());
        let sender = Sender::new(channel.clone());
        Self {
            future: app.call_boxed(scope, receiver, sender),
            target,
            grace,
        }
    }

    /// Polls the application once. When its call ends, tells `end` and reports a failure.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, end: &impl CallEnd) -> Poll<()> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(polled) => Outcome::Returned(ready!(polled)),
            Err(panic) => Outcome::Panicked(message(&*panic)),
        };
        self.ended(outcome, end);
        Poll::Ready(())
    }

    /// Moves the call to a task of its own, where it has the grace period after a disconnect.
    /// Without a runtime it fails.
    pub(super) fn detach(self, end: Arc<impl CallEnd>) {
        self.go_on(end, std::future::ready(()));
    }

    /// The same for a call whose client has all that it will get, as it wants no content. What is
    /// left of that has the grace period as well, and the application then learns that nobody is
    /// there.
    pub(super) fn detach_unheard(self, mailbox: Arc<Mailbox>) {
        let (grace, unheard) = (self.grace, mailbox.clone());
        self.go_on(mailbox, async move {
            unconstrained(tokio::time::sleep(grace)).await;
            unheard.disconnect();
        });
    }

    /// Goes on as a task, with `told` beside the call, which a disconnect may come from.
    fn go_on(mut self, end: Arc<impl CallEnd>, told: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            let error = AppError::failed("it cannot go on without a Tokio runtime");
            return self.ended(Outcome::Returned(Err(error)), &*end);
        };
        let grace = self.grace;
        runtime.spawn(async move {
            let call = poll_fn(|cx| self.poll(cx, &*end));
            let is_ended = {
                let disconnected = async {
                    poll_fn(|cx| end.poll_disconnected(cx)).await;
                    // Even if the call uses up all that a task may do at a time.
                    unconstrained(tokio::time::sleep(grace)).await;
                };
                let out_of_grace = async { tokio::join!(told, disconnected) };
                tokio::select! {
                    biased;
                    () = call => true,
                    _ = out_of_grace => false,
                }
            };
            if !is_ended {
                let target = &self.target;
                tracing::warn!(
                    "{target}: dropped, as it went on for too long after its client was gone"
                );
            }
        });
    }

    fn ended(&self, outcome: Outcome, end: &impl CallEnd) {
        const FAILED: Option<StatusCode> = Some(StatusCode::INTERNAL_SERVER_ERROR);
        let target = &self.target;
        match outcome {
            Outcome::Returned(Ok(())) => {
                if let Some(violation) = end.end(None) {
                    tracing::error!(rule = violation.rule.id, "{target}: {violation}");
                }
            }
            Outcome::Returned(Err(AppError::Unsupported)) if end.is_declinable() => {
                end.end(Some(StatusCode::NOT_IMPLEMENTED));
            }
            Outcome::Returned(Err(error)) => {
                end.end(FAILED);
                if !error.is_disconnected() {
                    tracing::error!("{target}: {error}");
                }
            }
            Outcome::Panicked(message) => {
                end.end(FAILED);
                tracing::error!("{target}: the application panicked: {message}");
            }
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.target).finish()
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
