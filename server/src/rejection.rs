//! Responses to requests for which the application is not called.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use callgate::HttpResponseStart;
use callgate_drive::ResponseBody;
use callgate_http1::DecodeError;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};

use crate::limit::Limit;

/// A short response in plain text, after which an HTTP/1 connection is closed.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    reason: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The limit that the client has reached.
    limit: Option<Limit>,
}

impl Rejection {
    pub(crate) fn new(status: StatusCode, reason: &'static str) -> Self {
        Self {
            status,
            reason: reason.into(),
            headers: Vec::new(),
            limit: None,
        }
    }

    pub(crate) fn bad_request(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets the limit that the client has reached.
    pub(crate) fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Returns the limit that the client has reached.
    pub(crate) fn reached(&self) -> Option<Limit> {
        self.limit
    }

    #[cfg(feature = "http2")]
    pub(crate) fn unsupported_version() -> Self {
        Self::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this version of HTTP is not supported",
        )
    }

    pub(crate) fn content_too_large() -> Self {
        let reason = "the content of the request is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, reason).limit(Limit::RequestBody)
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "the head of the request did not come in time",
        )
    }

    /// Creates the rejection of an exchange that is too much for now. The client may try again after this
    /// time.
    pub(crate) fn overloaded(reason: &'static str, retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
            .header(header::RETRY_AFTER, seconds.max(1).into())
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn reason(&self) -> &Cow<'static, str> {
        &self.reason
    }

    /// Returns the response.
    pub(crate) fn into_response(self) -> (HttpResponseStart, ResponseBody) {
        let text = format!(
            "{} {}: {}\n",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
            self.reason
        );
        let mut head = HttpResponseStart::new(self.status).header(header::CONTENT_TYPE, TEXT);
        head.headers.extend(self.headers);
        (head, Bytes::from(text).into())
    }
}

impl From<DecodeError> for Rejection {
    /// Returns the response to a head that is malformed or too large.
    fn from(error: DecodeError) -> Self {
        let rejection = Self::new(error.status(), error.reason());
        match error {
            DecodeError::MethodTooLong
            | DecodeError::TargetTooLong
            | DecodeError::FieldTooLong
            | DecodeError::TooManyFields
            | DecodeError::FieldsTooLarge
            | DecodeError::TrailersTooLarge => rejection.limit(Limit::RequestHead),
            _ => rejection,
        }
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
