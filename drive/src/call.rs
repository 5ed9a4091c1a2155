//! One call of the application: how the call is polled, and what its end means.

use std::any::Any;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{AppError, AppFuture, BoxApp, Channel, Receiver, Scope, Sender, Violation};
use http::StatusCode;
use tokio::task::coop::unconstrained;
use tracing::{Instrument as _, Span};

use crate::report::{self, RequestLine};

/// The server's end of a mailbox, as the call of the application sees it.
pub trait ServerEnd: Send + Sync + 'static {
    /// Records that the call has ended, and ends what the application left unfinished.
    fn end(&self, result: &CallResult) -> EndReport;

    /// Records that the client is gone. The application receives a disconnect.
    fn disconnect(&self);

    /// Returns ready once the client is gone or a rule is broken, if that happens before the
    /// application has ended its exchange.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns ready while the server discards further content of the application: the client takes
    /// no content (HEAD), or has all that `content-length` announced.
    fn poll_discarding(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// How a call ended.
#[derive(Debug)]
pub enum CallResult {
    /// The application returned.
    Returned(Result<(), AppError>),
    /// The application panicked, with this message.
    Panicked(String),
}

impl CallResult {
    /// Returns the status to respond with when nothing has been sent; `None` after success.
    ///
    /// An application declines with [`AppError::Unsupported`] only before it has sent an event
    /// (`is_declinable`).
    pub(crate) fn failure(&self, is_declinable: bool) -> Option<StatusCode> {
        match self {
            Self::Returned(Ok(())) => None,
            Self::Returned(Err(AppError::Unsupported)) if is_declinable => {
                Some(StatusCode::NOT_IMPLEMENTED)
            }
            Self::Returned(Err(_)) | Self::Panicked(_) => Some(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The report of a mailbox about the end of a call.
#[derive(Debug)]
pub struct EndReport {
    /// Whether the application could still decline its scope.
    pub is_declinable: bool,
    /// The rule that the application broke, unless the violation was reported before.
    pub violation: Option<Violation>,
}

/// A function that is called with the end of a call.
type OnEnd = Box<dyn FnOnce(CallResult, EndReport) + Send>;

/// A call of the application.
pub struct Call {
    /// `None` once the call has ended.
    future: Option<AppFuture>,
    request: RequestLine,
    on_end: Option<OnEnd>,
    /// A value that is dropped when the call has ended.
    held: Option<Box<dyn Any + Send>>,
}

impl Call {
    /// Calls the application. `channel` is the other end of its receiver and its sender.
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
            on_end: None,
            held: None,
        }
    }

    /// Sets a function that is called with the end of the call, after the end was recorded in the
    /// mailbox and a failure was logged. The function is not called when the call is dropped before
    /// its end.
    pub(crate) fn on_end(&mut self, on_end: impl FnOnce(CallResult, EndReport) + Send + 'static) {
        self.on_end = Some(Box::new(on_end));
    }

    /// Has the application polled in a span.
    pub(crate) fn instrument(&mut self, span: &Span) {
        if let Some(future) = self.future.take() {
            self.future = Some(Box::pin(future.instrument(span.clone())));
        }
    }

    /// Keeps a value until the call has ended, or is dropped.
    pub(crate) fn hold(&mut self, value: Box<dyn Any + Send>) {
        self.held = Some(value);
    }

    /// Polls the application once. When the call ends, records the end in the mailbox and logs a
    /// failure.
    pub fn poll(&mut self, cx: &mut Context<'_>, end: &(impl ServerEnd + ?Sized)) -> Poll<()> {
        if self.future.is_some() {
            let result = ready!(self.poll_result(cx));
            let report = end.end(&result);
            self.finish(result, report);
        }
        Poll::Ready(())
    }

    /// Polls the application once. Must not be polled again after the call has ended.
    pub(crate) fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<CallResult> {
        let future = self.future.as_mut().expect("not polled after its end");
        let result = ready!(poll_caught(future, cx));
        self.future = None;
        self.held = None;
        Poll::Ready(result)
    }

    /// Runs the call to its end, or until the grace period has passed, which begins with a
    /// disconnect. An application whose content the server discards receives a disconnect after the
    /// same period.
    ///
    /// Must run within a Tokio runtime.
    pub async fn run(mut self, end: Arc<impl ServerEnd + ?Sized>, grace_period: Duration) {
        // Unconstrained: the timer completes even if the call uses up the budget of the task.
        let timer = || unconstrained(tokio::time::sleep(grace_period));
        let is_ended = {
            let call = poll_fn(|cx| self.poll(cx, &*end));
            let out_of_grace = async {
                poll_fn(|cx| end.poll_disconnected(cx)).await;
                timer().await;
            };
            let disconnect_discarded = async {
                poll_fn(|cx| end.poll_discarding(cx)).await;
                timer().await;
                end.disconnect();
                pending().await
            };
            tokio::select! {
                biased;
                () = call => true,
                is_ended = disconnect_discarded => is_ended,
                () = out_of_grace => false,
            }
        };
        if !is_ended {
            report::out_of_grace(&self.request);
        }
    }

    /// Ends a call that cannot go on, as if the application had returned this error.
    pub fn fail(mut self, end: &impl ServerEnd, error: AppError) {
        self.future = None;
        self.held = None;
        let result = CallResult::Returned(Err(error));
        let report = end.end(&result);
        self.finish(result, report);
    }

    /// Logs a failure of a call that has ended, and passes the end to the `on_end` function.
    pub(crate) fn finish(&mut self, result: CallResult, end: EndReport) {
        self.log(&result, &end);
        if let Some(on_end) = self.on_end.take() {
            on_end(result, end);
        }
    }

    fn log(&self, result: &CallResult, end: &EndReport) {
        let violation = end.violation.as_ref();
        match result {
            CallResult::Returned(Ok(())) => {
                if let Some(violation) = violation {
                    report::violation(&self.request, violation);
                }
            }
            CallResult::Returned(Err(AppError::Unsupported)) if end.is_declinable => {
                report::declined(&self.request);
            }
            CallResult::Returned(Err(error)) if error.is_disconnected() => {}
            CallResult::Returned(Err(error)) => report::failure(&self.request, error, violation),
            CallResult::Panicked(message) => report::panic(&self.request, message),
        }
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Call").field(&self.request).finish()
    }
}

/// Polls the application once. A panic ends only the call (rule `CORE-15`).
pub(crate) fn poll_caught(future: &mut AppFuture, cx: &mut Context<'_>) -> Poll<CallResult> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(CallResult::Returned),
        Err(panic) => Poll::Ready(CallResult::Panicked(panic_message(&*panic))),
    }
}

/// Returns the message of a panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
