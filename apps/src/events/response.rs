//! The responses and errors of handlers, and the output that they make.

use std::fmt;
use std::time::Duration;

use callgate_drive::Escaped;
use callgate_toolkit::errors::HttpError;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::connect;
use crate::log_text::causes;

/// The time before the next attempt of a task: the shortest that Connect accepts.
const COUNTDOWN: Duration = Duration::from_secs(30);

/// The longest message of an output, in characters.
const MAX_MESSAGE: usize = 4000;

/// The response to an interactive event.
#[derive(Debug)]
pub(super) struct InteractiveResponse(Output);

impl InteractiveResponse {
    /// Creates the response to an event that was handled, with this content for the sender.
    pub(super) fn done(body: Value) -> Self {
        Self(Output {
            data: Some(Data {
                http_status: StatusCode::OK.as_u16(),
                body,
            }),
            ..Output::new(ResultType::Success)
        })
    }

    /// The handler failed, for this reason.
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

/// The result of a background event.
#[derive(Debug)]
pub(super) struct BackgroundResponse(Output);

impl BackgroundResponse {
    /// The handler succeeded.
    pub(super) fn done() -> Self {
        Self(Output::new(ResultType::Success))
    }

    /// The handler failed, for this reason, and is not called again.
    pub(super) fn fail(reason: impl AsRef<str>) -> Self {
        Self(Output::with_message(ResultType::Fail, reason.as_ref()))
    }

    /// There was nothing to do, for this reason.
    pub(super) fn skip(reason: &str) -> Self {
        Self(Output::with_message(ResultType::Skip, reason))
    }

    /// The handler has to be called again, in 30 seconds or later.
    pub(super) fn reschedule(reason: &str) -> Self {
        Self(Output::reschedule(reason))
    }
}

/// The result of a function that runs on a schedule.
#[derive(Debug)]
pub(super) struct ScheduledExecutionResponse(Output);

impl ScheduledExecutionResponse {
    /// The handler succeeded.
    pub(super) fn done() -> Self {
        Self(Output::new(ResultType::Success))
    }

    /// The handler failed, for this reason.
    pub(super) fn fail(reason: &str) -> Self {
        Self(Output::with_message(ResultType::Fail, reason))
    }

    /// The handler has to be called again, in 30 seconds or later.
    pub(super) fn reschedule(reason: &str) -> Self {
        Self(Output::reschedule(reason))
    }
}

/// A result in the format of Connect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Output {
    pub(super) result: ResultType,
    /// The response for the sender of an interactive event.
    pub(super) data: Option<Data>,
    /// The seconds before the next attempt, if there is one.
    pub(super) countdown: u64,
    /// The running time of the handler, in seconds.
    runtime: f64,
    pub(super) message: Option<String>,
    /// The causes of the error, for the log only.
    #[serde(skip)]
    causes: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResultType {
    Success,
    Fail,
    Skip,
    Reschedule,
}

/// The response for the sender of an interactive event.
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
            causes: None,
        }
    }

    fn with_message(result: ResultType, message: &str) -> Self {
        Self {
            message: Some(message.chars().take(MAX_MESSAGE).collect()),
            ..Self::new(result)
        }
    }

    /// Returns whether the event failed because of its sender.
    pub(super) fn is_client_error(&self) -> bool {
        let data = self.data.as_ref();
        data.is_some_and(|data| (400..500).contains(&data.http_status))
    }

    /// Sets how long the handler took.
    pub(super) fn with_runtime(self, runtime: Duration) -> Self {
        Self {
            runtime: runtime.as_secs_f64(),
            ..self
        }
    }

    fn with_causes(self, causes: Option<String>) -> Self {
        Self { causes, ..self }
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

/// Writes the output for the log, on one line.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            ResultType::Success => "success",
            ResultType::Fail => "fail",
            ResultType::Skip => "skip",
            ResultType::Reschedule => "reschedule",
        };
        write!(f, "{result} after {:.3} s", self.runtime)?;
        for reason in self.message.iter().chain(&self.causes) {
            write!(f, ": {}", Escaped(reason))?;
        }
        Ok(())
    }
}

/// The failure of a handler that has no response.
#[derive(Debug)]
pub(super) enum HandlerError {
    /// No handler is registered for the event.
    NotSupported(String),
    /// The event lacks data that the handler needs.
    Invalid(String),
    /// The function is already running.
    Busy(String),
    /// A call of Connect failed.
    Connect(connect::Error),
    /// The handler took too long.
    TimedOut(Duration),
    /// The handler panicked.
    Panicked,
}

impl HandlerError {
    /// Returns the output of an interactive event.
    pub(super) fn interactive(self) -> Output {
        let causes = self.causes();
        let error = HttpError::from(self);
        let response = InteractiveResponse::fail(error.status(), error.message());
        Output::from(response).with_causes(causes)
    }

    /// Returns the output of a background event.
    pub(super) fn background(&self) -> Output {
        let reason = self.to_string();
        let response = match self {
            Self::NotSupported(_) => BackgroundResponse::skip(&reason),
            Self::Connect(error) if error.is_transient() => BackgroundResponse::reschedule(&reason),
            _ => BackgroundResponse::fail(reason),
        };
        Output::from(response).with_causes(self.causes())
    }

    /// Returns the output of a function that ran on a schedule.
    pub(super) fn scheduled(&self) -> Output {
        let reason = self.to_string();
        let response = match self {
            Self::Connect(error) if error.is_transient() => {
                ScheduledExecutionResponse::reschedule(&reason)
            }
            _ => ScheduledExecutionResponse::fail(&reason),
        };
        Output::from(response).with_causes(self.causes())
    }

    fn causes(&self) -> Option<String> {
        match self {
            Self::Connect(error) => causes(error),
            _ => None,
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
