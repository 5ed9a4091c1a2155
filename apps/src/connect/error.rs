//! The failures of calls.

use std::error::Error as StdError;
use std::fmt;

use callgate_toolkit::errors::HttpError;
use http::StatusCode;

use super::client::CONNECT;
use crate::api::ApiError;
use crate::upstream;

/// The setting that has the key.
pub(super) const TOKEN: &str = "`CONNECT_TOKEN` in the environment";

/// The failure of a call of Connect.
#[derive(Debug)]
pub(crate) enum Error {
    /// This setting is missing.
    NotSet(&'static str),
    /// The key is not ASCII text.
    Key,
    /// A list whose response does not give its length.
    NoCount,
    /// The request failed.
    Upstream(Box<upstream::Error>),
}

impl Error {
    /// Returns whether Connect has no such resource.
    pub(crate) fn is_not_found(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::InvalidPath => true,
            upstream::Error::UnexpectedStatus(response) => {
                response.status() == StatusCode::NOT_FOUND
            }
            _ => false,
        }
    }

    /// Returns whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::Unreachable(_) | upstream::Error::TimedOut => true,
            upstream::Error::UnexpectedStatus(response) => {
                let status = response.status();
                status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Self {
        Self::Upstream(Box::new(error))
    }
}

/// The error response of a request that needed Connect.
impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Upstream(error) => return error.into_http_error(CONNECT.name),
            Error::NotSet(_) | Error::Key => StatusCode::SERVICE_UNAVAILABLE,
            Error::NoCount => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        HttpError::from(error).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(setting) => write!(f, "this is not set up: it needs {setting}"),
            Self::Key => write!(f, "{TOKEN} is no key that a request can hold"),
            Self::NoCount => {
                let name = CONNECT.name;
                write!(f, "{name}: its answer does not say how many there are")
            }
            Self::Upstream(error) => write!(f, "{}: {error}", CONNECT.name),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Upstream(error) => error.source(),
            _ => None,
        }
    }
}
