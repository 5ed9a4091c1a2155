//! What handlers answer, and what becomes of it.

use std::fmt;
use std::time::Duration;

use callgate_toolkit::errors::HttpError;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::connect;

/// How long until a task comes again, unless it is said otherwise; the least that Connect knows.
const COUNTDOWN: Duration = Duration::from_secs(30);

/// How much of a reason is passed on, in characters.
const MAX_MESSAGE: usize = 4000;

/// The answer to an interactive event, whose sender waits for it.
#[derive(Debug)]
pub(super) struct InteractiveResponse(Output);

impl InteractiveResponse {
    /// It was done, and this is the answer.
    pub(super) fn done(body: Value) -> Self {
        Self(Output {
            data: Some(Data {
                http_status: StatusCode::OK.as_u16(),
                body,
            }),
            ..Output::new(ResultType::Success)
        })
    }

    /// It failed, for this reason.
    pub(super) fn fail(http_status: StatusCode, reason: &str) -> Self {
        Self(Output {
            data: Some(Data {
                http_status: http_status.as_u16(),
                body: json!({ "error": reason }),
            }),
            ..Output::with_message(ResultType::Fail, reason)
        })
    }
}

/// The outcome of work in the background.
#[derive(Debug)]
pub(super) struct BackgroundResponse(Output);

impl BackgroundResponse {
    /// It was done.
    pub(super) fn done() -> Self {
        Self(Output::new(ResultType::Success))
    }

    /// It failed for good, for this reason.
    pub(super) fn fail(reason: impl AsRef<str>) -> Self {
        Self(Output::with_message(ResultType::Fail, reason.as_ref()))
    }

    /// There was nothing to be done, for this reason.
    pub(super) fn skip(reason: &str) -> Self {
        Self(Output::with_message(ResultType::Skip, reason))
    }

    /// It has to be tried again, after 30 seconds at the earliest.
    pub(super) fn reschedule(reason: &str) -> Self {
        Self(Output::reschedule(reason))
    }
}

/// The outcome of what runs on a schedule.
#[derive(Debug)]
pub(super) struct ScheduledExecutionResponse(Output);

impl ScheduledExecutionResponse {
    /// It was done.
    pub(super) fn done() -> Self {
        Self(Output::new(ResultType::Success))
    }

    /// It failed, for this reason.
    pub(super) fn fail(reason: &str) -> Self {
        Self(Output::with_message(ResultType::Fail, reason))
    }

    /// It has to be tried again, after 30 seconds at the earliest.
    pub(super) fn reschedule(reason: &str) -> Self {
        Self(Output::reschedule(reason))
    }
}

/// A result as Connect is told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Output {
    pub(super) result: ResultType,
    /// What the sender of an interactive event gets.
    pub(super) data: Option<Data>,
    /// After how many seconds the task should come again, if it should.
    pub(super) countdown: u64,
    /// How long it took, in seconds.
    pub(super) runtime: f64,
    pub(super) message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResultType {
    Success,
    Fail,
    Skip,
    Reschedule,
}

/// The answer to an interactive event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Data {
    pub(super) http_status: u16,
    pub(super) body: Value,
}

impl Output {
    fn new(result: ResultType) -> Self {
        Self {
            result,
            data: None,
            countdown: 0,
            runtime: 0.0,
            message: None,
        }
    }

    fn with_message(result: ResultType, message: &str) -> Self {
        Self {
            message: Some(message.chars().take(MAX_MESSAGE).collect()),
            ..Self::new(result)
        }
    }

    /// Whether it failed for a reason that is the sender's.
    pub(super) fn is_refusal(&self) -> bool {
        let data = self.data.as_ref();
        data.is_some_and(|data| (400..500).contains(&data.http_status))
    }

    fn reschedule(reason: &str) -> Self {
        Self {
            countdown: COUNTDOWN.as_secs(),
            ..Self::with_message(ResultType::Reschedule, reason)
        }
    }
}

impl From<InteractiveResponse> for Output {
    fn from(InteractiveResponse(output): InteractiveResponse) -> Self {
        output
    }
}

impl From<BackgroundResponse> for Output {
    fn from(BackgroundResponse(output): BackgroundResponse) -> Self {
        output
    }
}

impl From<ScheduledExecutionResponse> for Output {
    fn from(ScheduledExecutionResponse(output): ScheduledExecutionResponse) -> Self {
        output
    }
}

/// For the log.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            ResultType::Success => "success",
            ResultType::Fail => "fail",
            ResultType::Skip => "skip",
            ResultType::Reschedule => "reschedule",
        };
        write!(f, "{result} after {:.3} s", self.runtime)?;
        match &self.message {
            // Some of it comes from outside and must not look like a line of its own.
            Some(message) => write!(f, ": {}", message.replace(char::is_control, " ")),
            None => Ok(()),
        }
    }
}

/// Why a handler has no response.
#[derive(Debug)]
pub(super) enum HandlerError {
    /// There is no handler for this.
    NotSupported(String),
    /// What came is not what is expected.
    Invalid(String),
    /// It is already doing this.
    Busy(String),
    /// Connect failed.
    Connect(connect::Error),
    /// It took too long.
    TimedOut(Duration),
    /// It is broken.
    Panicked,
}

impl HandlerError {
    /// The answer to an interactive event.
    pub(super) fn interactive(self) -> InteractiveResponse {
        let error = HttpError::from(self);
        InteractiveResponse::fail(error.status(), error.message())
    }

    /// The outcome of work in the background.
    pub(super) fn background(&self) -> BackgroundResponse {
        let reason = self.to_string();
        match self {
            Self::NotSupported(_) => BackgroundResponse::skip(&reason),
            Self::Connect(error) if error.is_passing() => BackgroundResponse::reschedule(&reason),
            _ => BackgroundResponse::fail(reason),
        }
    }

    /// The outcome of what ran on a schedule.
    pub(super) fn scheduled(&self) -> ScheduledExecutionResponse {
        let reason = self.to_string();
        match self {
            Self::Connect(error) if error.is_passing() => {
                ScheduledExecutionResponse::reschedule(&reason)
            }
            _ => ScheduledExecutionResponse::fail(&reason),
        }
    }
}

impl From<connect::Error> for HandlerError {
    fn from(error: connect::Error) -> Self {
        Self::Connect(error)
    }
}

impl From<HandlerError> for HttpError {
    fn from(error: HandlerError) -> Self {
        let status = match error {
            HandlerError::Connect(error) => return error.into(),
            HandlerError::NotSupported(_) | HandlerError::Invalid(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            HandlerError::Busy(_) => StatusCode::CONFLICT,
            HandlerError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            HandlerError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported(reason) | Self::Invalid(reason) | Self::Busy(reason) => {
                f.write_str(reason)
            }
            Self::Connect(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "it took longer than {} s", limit.as_secs()),
            Self::Panicked => f.write_str("the handler is broken"),
        }
    }
}

impl std::error::Error for HandlerError {}
