//! Reading the content of a request.
//!
//! Each function takes a limit in bytes, as nothing else bounds what a client may send. Each error
//! has a [status](ReadError::status) to answer with, and converts into an
//! [`AppError`](callgate::AppError) with `?`; [`errors::answer`](crate::errors::answer) makes a
//! response of it then.

use std::error::Error;
use std::fmt;

use bytes::{Bytes, BytesMut};
use callgate::{ReceiveEvent, Receiver, SendError};
use http::StatusCode;
#[cfg(any(feature = "json", feature = "form"))]
use {
    callgate::HttpScope,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
    serde::de::DeserializeOwned,
};

/// Reads all of the content.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_toolkit::read::read_body;
///
/// async fn count(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     let body = read_body(&mut receiver, 1024 * 1024).await?;
///     sender.send(HttpResponseStart::ok()).await?;
///     sender.send(HttpResponseBody::last(format!("{} bytes\n", body.len()))).await?;
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`ReadError::TooLarge`] when there are more than `limit` bytes, as soon as that is known;
/// [`ReadError::Disconnected`] when the client goes away in the middle.
pub async fn read_body(receiver: &mut Receiver, limit: usize) -> Result<Bytes, ReadError> {
    let mut parts = BytesMut::new();
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(request) => {
                if request.body.len() > limit - parts.len() {
                    return Err(ReadError::TooLarge { limit });
                }
                if parts.is_empty() && !request.more_body {
                    return Ok(request.body);
                }
                parts.extend_from_slice(&request.body);
                if !request.more_body {
                    return Ok(parts.freeze());
                }
            }
            ReceiveEvent::HttpDisconnect => return Err(ReadError::Disconnected),
            _ => {}
        }
    }
}

/// Reads the content as JSON.
///
/// # Errors
///
/// Those of [`read_body`], the first of them without reading when `content-length` says so;
/// [`ReadError::MediaType`] when `content-type` is neither `application/json` nor `*/*+json`;
/// [`ReadError::Syntax`] when the content is not JSON, and [`ReadError::Data`] when it is not a `T`.
#[cfg(feature = "json")]
pub async fn read_json<T: DeserializeOwned>(
    scope: &HttpScope,
    receiver: &mut Receiver,
    limit: usize,
) -> Result<T, ReadError> {
    let is_json = |essence: &str| essence == "application/json" || essence.ends_with("+json");
    check(scope, limit, "application/json", is_json)?;
    let body = read_body(receiver, limit).await?;
    serde_json::from_slice(&body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ReadError::Data(error.to_string()),
        _ => ReadError::Syntax(error.to_string()),
    })
}

/// Reads the content as the fields of a form. A field that is there several times is a list.
///
/// # Errors
///
/// Those of [`read_body`], the first of them without reading when `content-length` says so;
/// [`ReadError::MediaType`] when `content-type` is not `application/x-www-form-urlencoded`;
/// [`ReadError::Data`] when the content is not a `T`.
#[cfg(feature = "form")]
pub async fn read_form<T: DeserializeOwned>(
    scope: &HttpScope,
    receiver: &mut Receiver,
    limit: usize,
) -> Result<T, ReadError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    check(scope, limit, FORM, |essence| essence == FORM)?;
    let body = read_body(receiver, limit).await?;
    serde_html_form::from_bytes(&body).map_err(|error| ReadError::Data(error.to_string()))
}

/// What can be said of the content before it is read.
#[cfg(any(feature = "json", feature = "form"))]
fn check(
    scope: &HttpScope,
    limit: usize,
    expected: &'static str,
    is_expected: impl FnOnce(&str) -> bool,
) -> Result<(), ReadError> {
    let text = |name| {
        scope
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let found = text(CONTENT_TYPE).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default();
    if !is_expected(&essence.trim().to_ascii_lowercase()) {
        return Err(ReadError::MediaType {
            expected,
            found: found.to_owned(),
        });
    }
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > limit as u64 => Err(ReadError::TooLarge { limit }),
        _ => Ok(()),
    }
}

/// Waits until the client is gone or the exchange is over. Content that still comes is dropped.
///
/// For an application that works without reading or sending, in a `select` beside the work.
pub async fn disconnected(receiver: &mut Receiver) {
    loop {
        if let ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) =
            receiver.receive().await
        {
            return;
        }
    }
}

/// Why the content of a request could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It is larger than the limit, in bytes: 413.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The client has gone away in the middle of it. Nobody's failure:
    /// [`AppError::is_disconnected`](callgate::AppError::is_disconnected) knows it.
    Disconnected,
    /// It has another media type than the one expected: 415.
    MediaType {
        /// What is read here.
        expected: &'static str,
        /// What `content-type` says; empty when there is none.
        found: String,
    },
    /// It is malformed: 400.
    Syntax(String),
    /// It is well-formed, and something else than expected: 422.
    Data(String),
}

impl ReadError {
    /// The status to answer with: 413, 415, 400 or 422. Nobody is there to be told of 400 when the
    /// client has gone away.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Disconnected | Self::Syntax(_) => StatusCode::BAD_REQUEST,
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
            Self::Disconnected => f.write_str("the client went away in the middle of the content"),
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
