//! The time that an application may take for its response.

use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use http::StatusCode;

use super::gate::{Gate, Progress, end_call};
use super::refusal::Refusal;
use crate::respond;

/// Limits the time from the call of an application to the last event of its response. The time that
/// the client takes to send the content of the request and to read the response is included.
///
/// When the time is over:
///
/// - **Before the response has started**, the client gets a 503 at once.
/// - **After it has started**, the response is cut: the client sees that it is incomplete (rule `HTTP-33`).
/// - **The application** receives a disconnect, and its sends fail. It has the
///   [grace period](Self::grace_period) to come to an end, after which its future is dropped. A response
///   that has started is cut when the call has ended.
/// - **The server** is told by an error ([`TimedOut`]), which it reports.
///
/// Work after the last event of the response has no limit. Of a WebSocket, only the handshake is limited:
/// until the application accepts, closes or denies it. A response without an end of its own, such as
/// server-sent events, is cut too: put the middleware around the other routes only.
///
/// ```
/// use std::time::Duration;
/// use callgate::App;
/// use callgate_toolkit::middleware::Timeout;
/// use callgate_toolkit::mount::Mounts;
///
/// fn app(pages: impl App, events: impl App) -> impl App {
///     Mounts::new()
///         .mount("", Timeout::new(pages, Duration::from_secs(30)))
///         .mount("/events", events)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Timeout<A> {
    app: A,
    limit: Duration,
    grace_period: Duration,
    status: StatusCode,
}

impl<A> Timeout<A> {
    /// Creates an application of `app` whose responses are complete within `limit`.
    pub fn new(app: A, limit: Duration) -> Self {
        Self {
            app,
            limit,
            grace_period: Duration::from_secs(5),
            status: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Sets the status of the response to a request that takes too long. Default: 503. An application
    /// that waits for another server may send 504.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets how long the application may go on after the disconnect. Default: 5 seconds.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.grace_period = grace_period;
        self
    }
}

impl<A: App> App for Timeout<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Some(refusal) = Refusal::of(&scope) else {
            return self.app.call(scope, receiver, sender).await;
        };
        let gate = Gate::new(&scope, receiver, sender.clone());
        let mut call = pin!(self.app.call(
            scope,
            Receiver::new(gate.clone()),
            Sender::new(gate.clone())
        ));
        if let Ok(result) = tokio::time::timeout(self.limit, &mut call).await {
            return result;
        }
        match gate.close() {
            Progress::Complete => return call.await,
            Progress::Waiting => {
                let response = respond::text("The request has taken too long.\n");
                let response = response.status(self.status);
                let refused = refusal.send(response, &sender).await;
                end_call(call, self.grace_period).await;
                refused?;
            }
            Progress::Started => end_call(call, self.grace_period).await,
        }
        Err(TimedOut { limit: self.limit }.into())
    }
}

/// The error of a call that has exceeded its [`Timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// The limit.
    pub limit: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response was not complete after {:?}", self.limit)
    }
}

impl Error for TimedOut {}
