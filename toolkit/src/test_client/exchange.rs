//! The exchange behind a response, for tests that look at its events and its call.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use callgate::transcript::Transcript;
use callgate::{SendEvent, Violation};
use http::{HeaderValue, Response};

use super::error::Error;
use super::failure::{Failure, TimedOut};
use super::record::Record;
use super::settings::Settings;

/// The exchange of a request or a WebSocket: the events and the end of the application's call, and
/// its client, which can disconnect.
///
/// Each response of a [`TestClient`](super::TestClient) holds its exchange: [`TestExchange::of`] returns it.
/// Clones are the same exchange.
#[derive(Clone)]
pub struct TestExchange {
    pub(super) record: Arc<Record>,
    timeout: Duration,
    /// Whether the client goes on when the application breaks a rule.
    allows_violations: bool,
}

impl TestExchange {
    pub(super) fn new(record: Arc<Record>, settings: &Settings) -> Self {
        Self {
            record,
            timeout: settings.timeout,
            allows_violations: settings.allows_violations,
        }
    }

    /// Returns the exchange that a response of a test client comes from.
    ///
    /// # Panics
    ///
    /// When the response does not come from a test client.
    #[must_use]
    pub fn of<B>(response: &Response<B>) -> &Self {
        response
            .extensions()
            .get()
            .expect("a response of a test client")
    }

    /// Returns the events so far. An `assert` can show them when it fails.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.record.transcript()
    }

    /// Returns the values of `link` that the application sent as early hints.
    #[must_use]
    pub fn early_hints(&self) -> Vec<HeaderValue> {
        let transcript = self.transcript();
        let hints = transcript.sent().filter_map(|event| match event {
            SendEvent::HttpResponseEarlyHint(hint) => Some(hint.links.iter().cloned()),
            _ => None,
        });
        hints.flatten().collect()
    }

    /// Returns the rule that the application broke, in a send or by returning.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.record.violation()
    }

    /// Returns whether the server has asked the client for its content with `100 Continue`, which a
    /// client waits for that sends `expect: 100-continue` over HTTP/1.1. The server asks when the
    /// application receives (rule `HTTP-10`), and does not when the application responds without
    /// receiving (rule `HTTP-11`).
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.record.is_continued()
    }

    /// Returns whether the call has ended. A call may go on after its response is complete.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.record.is_ended()
    }

    /// Waits until the call has ended, with its work after the last event. A call that returns because
    /// its client is gone has succeeded.
    ///
    /// # Errors
    ///
    /// How the call failed; [`Failure::Declined`] when the application declined;
    /// [`Failure::TimedOut`] when the call goes on for longer than the client's
    /// [time-out](super::TestClient::timeout).
    pub async fn ended(&self) -> Result<(), Failure> {
        match self
            .wait("the end of the call", self.record.outcome())
            .await
        {
            Ok(outcome) => outcome,
            Err(timed_out) => Err(Failure::TimedOut(timed_out.into())),
        }
    }

    /// Drops the client's connection, before or after the response.
    ///
    /// The application receives `http.disconnect`, or `websocket.disconnect` with 1006, its sends
    /// fail, and its grace period begins.
    pub fn disconnect(&self) {
        self.record.disconnect();
    }

    /// Fails if the application broke a rule before it had sent all that its client gets, unless the client
    /// allows that.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.record.violation_in_response() {
            Some(violation) if !self.allows_violations => {
                Err(Error::Violation(violation, self.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the future, at most for the client's time-out.
    pub(super) async fn wait<T>(
        &self,
        waited_for: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<T, TimedOut> {
        let waited = tokio::time::timeout(self.timeout, future).await;
        waited.map_err(|_| TimedOut::new(waited_for, self.timeout, self.transcript()))
    }
}

/// Shows the transcript.
impl fmt::Debug for TestExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transcript().fmt(f)
    }
}
