//! The error of a request that could not be read.

use std::error::Error;
use std::fmt;

use callgate::SendError;
use http::StatusCode;

/// An error of the content or the query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The content is larger than the limit: 413.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A field of a multipart form is larger than the limit: 413.
    FieldTooLarge {
        /// The name of the field; empty when it has none.
        name: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A multipart form has more fields than the limit: 413.
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// The client has gone away before the end of the content. This is not a failure:
    /// [`AppError::is_disconnected`](callgate::AppError::is_disconnected) is true of it.
    Disconnected,
    /// The content has another media type than the expected one: 415.
    MediaType {
        /// The expected media type.
        expected: &'static str,
        /// The value of `content-type`; empty when there is none.
        found: String,
    },
    /// The content is malformed: 400.
    Syntax(String),
    /// The content is well-formed, and is not of the expected type: 422.
    Data(String),
    /// The query is not of the expected type: 400.
    Query(String),
}

impl ReadError {
    /// Returns the status to respond with: 400, 413, 415 or 422.
    ///
    /// It is 400 for a client that has gone away, which gets no response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } | Self::FieldTooLarge { .. } | Self::TooManyFields { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Disconnected | Self::Syntax(_) | Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Data(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => {
                write!(f, "the content is larger than the limit of {limit} bytes")
            }
            Self::FieldTooLarge { name, limit } => {
                write!(
                    f,
                    "the field {name:?} is larger than the limit of {limit} bytes"
                )
            }
            Self::TooManyFields { limit } => {
                write!(f, "the form has more fields than the limit of {limit}")
            }
            Self::Disconnected => f.write_str("the client went away before the end of the content"),
            Self::MediaType { expected, found } if found.is_empty() => {
                write!(
                    f,
                    "the content has no `content-type`, which must be `{expected}`"
                )
            }
            Self::MediaType { expected, found } => {
                write!(f, "the content is `{found}`, and must be `{expected}`")
            }
            Self::Syntax(reason) => write!(f, "the content is malformed: {reason}"),
            Self::Data(reason) => write!(f, "the content is not as expected: {reason}"),
            Self::Query(reason) => write!(f, "the query is not as expected: {reason}"),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Disconnected => Some(&SendError::Disconnected),
            _ => None,
        }
    }
}
