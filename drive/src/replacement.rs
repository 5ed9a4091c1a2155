//! The response that a server sends in place of the application's.

use bytes::Bytes;
use callgate::HttpResponseStart;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::response_body::ResponseBody;

/// Creates a response in place of the application's: its content is the reason phrase of the
/// status, so that the response does not reveal the failure (rule `HTTP-34`).
///
/// ```
/// use callgate_drive::replacement;
/// use http::StatusCode;
///
/// let (head, content) = replacement(StatusCode::INTERNAL_SERVER_ERROR);
/// assert_eq!(head.headers["content-type"], "text/plain; charset=utf-8");
/// assert!(content.is_in_memory());
/// ```
#[cold]
#[must_use]
pub fn replacement(status: StatusCode) -> (HttpResponseStart, ResponseBody) {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    let head = HttpResponseStart::new(status).header(CONTENT_TYPE, content_type);
    let reason = status.canonical_reason().unwrap_or_default();
    (head, Bytes::from_static(reason.as_bytes()).into())
}
