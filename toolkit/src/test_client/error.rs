//! The errors of a test client.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use callgate::{Message, Violation, WebSocketClose};
use http::Response;

use super::exchange::TestExchange;
use super::failure::TimedOut;

/// An error of a test client.
///
/// `{:?}` shows the same as `{}`, with the transcript of the exchange, so that `unwrap` in a test says
/// what happened.
#[non_exhaustive]
pub enum Error {
    /// The application broke this rule before it had sent all of its response, or closed its WebSocket. A
    /// [client that allows it](super::TestClient::allow_violations) gets what a real client gets: 500, a response that is
    /// cut, or a WebSocket that is closed with 1011.
    Violation(Violation, TestExchange),
    /// The response was cut, as the application failed in the middle of it (rule `HTTP-33`). The
    /// response has the content that came before.
    Cut(Box<Response<Bytes>>),
    /// The handshake of a WebSocket was refused with this response: 403 when the application closed
    /// the WebSocket, a denial response, 500 or 501.
    Refused(Box<Response<Bytes>>),
    /// A redirect cannot be followed, for this reason. The response is the redirect.
    Redirect(Box<Response<Bytes>>, String),
    /// The WebSocket is closed, with this code and reason.
    Closed(WebSocketClose),
    /// This message came in place of the expected one.
    Unexpected(Message),
    /// The client has disconnected, as the test told it to.
    Disconnected,
    /// A wait took longer than the client's [time-out](super::TestClient::timeout).
    TimedOut(Box<TimedOut>),
    /// The start-up or the shutdown of the application failed, for this reason.
    Lifespan(String),
    /// Content or a message cannot be read as the expected type, for this reason.
    Content(String),
}

impl Error {
    /// Returns the response of a refused handshake, of a redirect that cannot be followed, or of an
    /// exchange that was cut.
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

impl From<TimedOut> for Error {
    fn from(timed_out: TimedOut) -> Self {
        Self::TimedOut(timed_out.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation, exchange) => {
                write!(
                    f,
                    "the application broke a rule: {violation}\nsee {}\n{}",
                    violation.rule.document_url(),
                    exchange.transcript()
                )
            }
            Self::Cut(response) => {
                f.write_str("the response was cut")?;
                show_exchange(f, response)
            }
            Self::Refused(response) => {
                write!(f, "the handshake was refused with {}", response.status())?;
                show_exchange(f, response)
            }
            Self::Redirect(response, reason) => {
                write!(f, "the redirect cannot be followed: {reason}")?;
                show_exchange(f, response)
            }
            Self::Closed(close) => {
                let (code, reason) = (close.code, &close.reason);
                write!(f, "the WebSocket is closed with {code} {reason:?}")
            }
            Self::Unexpected(message) => write!(f, "another message came: {message:?}"),
            Self::Disconnected => f.write_str("the client has disconnected"),
            Self::TimedOut(timed_out) => timed_out.fmt(f),
            Self::Lifespan(reason) => write!(f, "the application's lifespan failed: {reason}"),
            Self::Content(reason) => f.write_str(reason),
        }
    }
}

fn show_exchange(f: &mut fmt::Formatter<'_>, response: &Response<Bytes>) -> fmt::Result {
    match response.extensions().get::<TestExchange>() {
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
