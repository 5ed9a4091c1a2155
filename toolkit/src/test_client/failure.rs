//! The failures of an application's call.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use callgate::transcript::Transcript;
use callgate::{AppError, Violation};

/// A wait that took too long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOut {
    /// The event that the client waited for.
    pub waited_for: &'static str,
    /// The time for which the client waited.
    pub timeout: Duration,
    /// The events of the exchange by then.
    pub transcript: Transcript,
}

impl TimedOut {
    pub(super) fn new(waited_for: &'static str, timeout: Duration, transcript: Transcript) -> Self {
        Self {
            waited_for,
            timeout,
            transcript,
        }
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:?} for {} in vain (see `TestClient::timeout`)\n{}",
            self.timeout, self.waited_for, self.transcript
        )
    }
}

impl Error for TimedOut {}

/// A failure of an application's call.
///
/// A call that returns [`Disconnected`](callgate::SendError::Disconnected) has not failed (rule
/// `CORE-10`).
#[derive(Clone)]
#[non_exhaustive]
pub enum Failure {
    /// The application does not serve this kind of scope. A server does not count this as a failure,
    /// and responds with 501.
    Declined,
    /// The application returned this error.
    Error(Arc<AppError>),
    /// The application returned successfully, but broke this rule, by returning or before.
    Violation(Violation),
    /// The application panicked with this message.
    Panicked(String),
    /// The call went on after a disconnect until its grace period had passed, and was dropped.
    OutOfGrace,
    /// The call has not ended.
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

impl Error for Failure {}
