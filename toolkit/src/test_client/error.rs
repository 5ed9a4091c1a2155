//! What can go wrong in a test.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callgate::{AppError, Message, Violation, WebSocketClose};
use http::Response;

use super::Exchange;
use callgate::transcript::Transcript;

/// Why a client did not get what it asked for.
///
/// `{:?}` shows the same as `{}`, the transcript of the exchange included, so that `unwrap` in a
/// test says what happened.
#[non_exhaustive]
pub enum Error {
    /// The response was cut: the application failed in the middle of it (rule `HTTP-33`). This is
    /// what there was of it.
    Cut(Box<Response<Bytes>>),
    /// The handshake of a WebSocket was answered with this response: 403 when the application
    /// refused it, a denial response, 500 or 501.
    Refused(Box<Response<Bytes>>),
    /// A redirect that was to be followed cannot be, for this reason. This is the response with it.
    Redirect(Box<Response<Bytes>>, String),
    /// The WebSocket is closed, with this code and reason.
    Closed(WebSocketClose),
    /// Another message came than the one asked for.
    Unexpected(Message),
    /// The client has gone away, as the test had it do.
    Gone,
    /// Nothing happened for as long as the client's patience lasts.
    TimedOut(Box<TimedOut>),
    /// The application could not be started up, or not be shut down, for this reason.
    Lifespan(String),
    /// A message is not what it was read as, for this reason.
    Content(String),
}

impl Error {
    /// The response of a handshake that was refused, that with a redirect that cannot be followed,
    /// or what there was of one that was cut.
    #[must_use]
    pub fn response(self) -> Option<Response<Bytes>> {
        match self {
            Self::Cut(response) | Self::Refused(response) | Self::Redirect(response, _) => {
                Some(*response)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(response) => {
                f.write_str("the response was cut")?;
                show_exchange(f, response)
            }
            Self::Refused(response) => {
                write!(f, "the handshake was answered with {}", response.status())?;
                show_exchange(f, response)
            }
            Self::Redirect(response, reason) => {
                write!(f, "the redirect cannot be followed: {reason}")?;
                show_exchange(f, response)
            }
            Self::Closed(close) => {
                write!(
                    f,
                    "the WebSocket is closed with {} {:?}",
                    close.code, close.reason
                )
            }
            Self::Unexpected(message) => write!(f, "another message came: {message:?}"),
            Self::Gone => f.write_str("the client has gone away"),
            Self::TimedOut(timed_out) => timed_out.fmt(f),
            Self::Lifespan(reason) => write!(f, "the application's lifespan failed: {reason}"),
            Self::Content(reason) => f.write_str(reason),
        }
    }
}

fn show_exchange(f: &mut fmt::Formatter<'_>, response: &Response<Bytes>) -> fmt::Result {
    match response.extensions().get::<Exchange>() {
        Some(exchange) => write!(f, "\n{}", exchange.transcript()),
        None => Ok(()),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {}

/// What was waited for in vain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOut {
    /// What was waited for.
    pub waited_for: &'static str,
    /// For how long.
    pub patience: Duration,
    /// What had happened by then.
    pub transcript: Transcript,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:?} for {} in vain (see `TestClient::patience`)\n{}",
            self.patience, self.waited_for, self.transcript
        )
    }
}

/// How a call of the application failed.
///
/// A call that returned that the client is gone has not failed (rule `CORE-10`).
#[derive(Clone)]
#[non_exhaustive]
pub enum Failure {
    /// It does not serve this kind of scope: not a failure to a server, which answers with 501.
    Declined,
    /// It returned this error.
    Error(Arc<AppError>),
    /// It returned successfully, and broke this rule by that or before.
    Violation(Violation),
    /// It panicked with this message.
    Panicked(String),
    /// It went on after a disconnect until its grace period had passed, and was dropped.
    OutOfGrace,
    /// It has not ended.
    TimedOut(Box<TimedOut>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined => f.write_str("the application declined"),
            Self::Error(error) => write!(f, "the application failed: {error}"),
            Self::Violation(violation) => write!(f, "the application broke a rule: {violation}"),
            Self::Panicked(message) => write!(f, "the application panicked: {message}"),
            Self::OutOfGrace => f.write_str("the application went on after its grace period"),
            Self::TimedOut(timed_out) => timed_out.fmt(f),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Failure {}
