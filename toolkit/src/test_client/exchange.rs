//! What a test can know of one exchange, and do to it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use callgate::{Violation, WebSocketDisconnect};
use http::Response;

use super::error::{Error, Failure, TimedOut};
use super::link::{Link, Protocol};
use callgate::transcript::Transcript;

/// One call of the application: its events, its end, and the client that can go away.
///
/// Each response of a [`TestClient`](super::TestClient) holds its exchange:
/// [`Exchange::of`] it. Clones are the same exchange.
#[derive(Clone)]
pub struct Exchange {
    pub(super) link: Arc<Link>,
    pub(super) patience: Duration,
}

impl Exchange {
    /// The exchange that this response of a test client comes from.
    ///
    /// # Panics
    ///
    /// When it does not come from one.
    #[must_use]
    pub fn of<B>(response: &Response<B>) -> &Self {
        response
            .extensions()
            .get()
            .expect("a response of a test client")
    }

    /// The events so far. A failed `assert` that shows it says what happened.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.link.look(|state| state.transcript.clone())
    }

    /// The rule that the application broke, if it did: in a send, or by returning.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.link.look(|state| state.violation.clone())
    }

    /// Whether the client was told to send its content, which it waits for when it has sent
    /// `expect: 100-continue` over HTTP/1.1. The application tells it by receiving (rule `HTTP-10`);
    /// one that answers without spares the client the content (rule `HTTP-11`).
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.link.look(|state| match &state.protocol {
            Protocol::Http(http) => http.is_continued(),
            Protocol::WebSocket(_) => false,
        })
    }

    /// Whether the call has ended. It may still run when the response is whole.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.link.look(|state| state.outcome.is_some())
    }

    /// Waits until the call has ended, work after the last event included. A call whose client is
    /// gone has succeeded when it returns that.
    ///
    /// # Errors
    ///
    /// How the call failed; [`Failure::Declined`] when it declined; [`Failure::TimedOut`] when it
    /// goes on for longer than the client's patience.
    pub async fn ended(&self) -> Result<(), Failure> {
        let ended = poll_fn(|cx| self.link.poll_take(cx, |state| state.outcome.clone()));
        match tokio::time::timeout(self.patience, ended).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::TimedOut(
                self.timed_out("the end of the call").into(),
            )),
        }
    }

    /// The client goes away now, without a word: at any moment, before or after the response.
    ///
    /// The application is told (`http.disconnect`, or `websocket.disconnect` with 1006), its sends
    /// fail, and its grace period begins.
    pub fn disconnect(&self) {
        self.link.change(|state| match &mut state.protocol {
            Protocol::Http(http) => http.disconnect(),
            Protocol::WebSocket(websocket) => {
                websocket.disconnect(WebSocketDisconnect::new(1006));
            }
        });
    }

    /// Waits, but no longer than the client's patience lasts.
    pub(super) async fn wait<T>(
        &self,
        waited_for: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        tokio::time::timeout(self.patience, future)
            .await
            .map_err(|_| Error::TimedOut(self.timed_out(waited_for).into()))
    }

    fn timed_out(&self, waited_for: &'static str) -> TimedOut {
        TimedOut {
            waited_for,
            patience: self.patience,
            transcript: self.transcript(),
        }
    }
}

/// Its transcript.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transcript().fmt(f)
    }
}
