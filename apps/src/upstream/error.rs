//! The failures of calls.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use callgate_toolkit::errors::HttpError;
use http::{Response, StatusCode};

use super::content::MAX_CONTENT;
use crate::Service;
use crate::api::ApiError;
use crate::log_text::causes;

/// The failure of a call of a service.
#[derive(Debug)]
pub(crate) enum Error {
    /// The request cannot be sent: there is no HTTP client, or a header field cannot hold the token, for
    /// example.
    NotSent(Box<dyn StdError + Send + Sync>),
    /// The path has a segment that cannot be sent.
    InvalidPath,
    /// The service cannot be reached, or the connection broke.
    Unreachable(Box<dyn StdError + Send + Sync>),
    /// The service did not answer in time.
    TimedOut,
    /// The status of the response is not one of success.
    UnexpectedStatus(Box<Response<Bytes>>),
    /// The content of the response is too large.
    TooLarge,
    /// The content of the response is not the JSON that was expected.
    Unreadable(serde_json::Error),
}

impl Error {
    /// Returns the status of the response to our client: 504 for a time-out, 500 or 404 for a request
    /// that was never sent, and 502 otherwise.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotSent(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidPath => StatusCode::NOT_FOUND,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreachable(_)
            | Self::UnexpectedStatus(_)
            | Self::TooLarge
            | Self::Unreadable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns the error response of a request that needed `service`. The client gets the kind of the
    /// error, and the log its causes as well.
    pub(crate) fn into_api_error(self, service: &Service) -> ApiError {
        self.into_http_error(service.name).into()
    }

    /// Returns the error as [`into_api_error`](Self::into_api_error) does, about `subject`: a service, or
    /// a part of one.
    pub(crate) fn into_http_error(self, subject: &str) -> HttpError {
        let error = HttpError::new(self.status(), format!("{subject}: {self}"));
        match causes(&self) {
            Some(causes) => error.source(causes),
            None => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(_) => f.write_str("it cannot be asked"),
            Self::InvalidPath => f.write_str("there is nothing of this name"),
            Self::Unreachable(_) => f.write_str("it cannot be reached"),
            Self::TimedOut => f.write_str("it did not answer in time"),
            Self::UnexpectedStatus(response) => {
                write!(f, "it answered with status {}", response.status().as_u16())
            }
            Self::TooLarge => write!(f, "it answered with more than {MAX_CONTENT} bytes"),
            Self::Unreadable(_) => f.write_str("its answer cannot be read"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotSent(error) | Self::Unreachable(error) => Some(&**error),
            Self::Unreadable(error) => Some(error),
            Self::InvalidPath | Self::TimedOut | Self::UnexpectedStatus(_) | Self::TooLarge => None,
        }
    }
}
