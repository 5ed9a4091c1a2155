//! Responses: bytes, texts, JSON, redirects, streams, server-sent events and files.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::respond;
//! use http::StatusCode;
//!
//! async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     match &*scope.route_path() {
//!         "/" => respond::redirect("/hello").send(&sender).await,
//!         "/hello" => respond::text("Hello!\n").send(&sender).await,
//!         _ => {
//!             let response = respond::text("There is nothing at this path.\n");
//!             response.status(StatusCode::NOT_FOUND).send(&sender).await
//!         }
//!     }
//! }
//! ```

use bytes::Bytes;
use callgate::{AppError, Receiver};
use futures_util::{Stream, StreamExt as _};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
#[cfg(feature = "file")]
use {crate::file::FileContent, callgate::HttpScope, std::path::PathBuf};

use crate::sse::{Event, EventContent};

pub use crate::response::{Content, Response};
pub use crate::stream::StreamContent;

/// Returns a response with these bytes, and without a `content-type`.
pub fn bytes(content: impl Into<Bytes>) -> Response {
    Response::new(content.into())
}

/// Returns a response with this text: `text/plain; charset=utf-8`.
pub fn text(text: impl Into<String>) -> Response {
    of_type("text/plain; charset=utf-8", text.into())
}

/// Returns a response with this page: `text/html; charset=utf-8`.
pub fn html(page: impl Into<String>) -> Response {
    of_type("text/html; charset=utf-8", page.into())
}

/// Returns a response with this value as `application/json`.
///
/// # Errors
///
/// When the value cannot be JSON.
#[cfg(feature = "json")]
pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Response, serde_json::Error> {
    serde_json::to_vec(value).map(|json| of_type("application/json", json))
}

/// Returns a response with this status and no content: 204, for example.
pub fn status(status: StatusCode) -> Response {
    bytes(Bytes::new()).status(status)
}

/// Returns a redirect to `location`: 307, after which clients repeat the method and the content.
/// [`see_other`] leads from a form to the page after it.
///
/// # Panics
///
/// When `location` has a line break or another control character. A value that comes from a client
/// is percent-encoded first.
pub fn redirect(location: impl AsRef<str>) -> Response {
    status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location.as_ref())
}

/// Returns a redirect to `location` for the response to a form: 303, after which clients make a GET request.
///
/// # Panics
///
/// As [`redirect`].
pub fn see_other(location: impl AsRef<str>) -> Response {
    redirect(location).status(StatusCode::SEE_OTHER)
}

/// Returns a redirect to the same target with a slash at the end of its path. The location is relative,
/// and so valid under any root path.
pub fn add_slash(uri: &Uri) -> Response {
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}"));
    // Every character of a target is valid in a header field.
    redirect(format!("./{segment}/{}", query.unwrap_or_default()))
}

/// Returns a response that refuses the method of the request: 405, with the methods that are served.
///
/// # Panics
///
/// When `allowed` cannot be a header field.
pub fn method_not_allowed(allowed: &str) -> Response {
    text(format!("Only these methods are served here: {allowed}.\n"))
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .header(ALLOW, allowed)
}

/// Returns a response whose content is the items of a stream, which are sent as they come.
///
/// The head is sent at once. The stream is polled for its next item when the transport has taken the
/// last one, so a slow client slows the stream down.
///
/// The response watches `receiver`: a client that goes away ends the sending at once, with
/// [`SendError::Disconnected`](callgate::SendError::Disconnected), even while the stream has no item.
/// Content of the request that has not been read is dropped.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::respond;
/// use futures_util::stream;
///
/// async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     let lines = (0..3).map(|line| Ok::<_, std::io::Error>(format!("{line}\n")));
///     respond::stream(&mut receiver, stream::iter(lines))
///         .header("content-type", "text/plain")
///         .send(&sender)
///         .await
/// }
/// ```
pub fn stream<S, B, E>(
    receiver: &mut Receiver,
    items: S,
) -> Response<StreamContent<'_, impl Stream<Item = Result<Bytes, AppError>>>>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let parts = items.map(|item| match item {
        Ok(part) => Ok(part.into()),
        Err(error) => Err(AppError::failed(error)),
    });
    Response::new(StreamContent::new(receiver, parts))
}

/// Returns a response of server-sent events, as [`sse`](crate::sse) describes them:
/// `text/event-stream`, which caches do not store.
pub fn events<S>(receiver: &mut Receiver, events: S) -> Response<EventContent<'_, S>>
where
    S: Stream<Item = Event>,
{
    Response::new(EventContent::new(receiver, events))
        .header(CONTENT_TYPE, "text/event-stream")
        .header("cache-control", "no-store")
}

/// Returns a response with the file at `path`, or with the ranges of it that the request in `scope`
/// asks for, as [`file`](mod@crate::file) describes it.
#[cfg(feature = "file")]
pub fn file(scope: &HttpScope, path: impl Into<PathBuf>) -> Response<FileContent<'_>> {
    Response::new(FileContent::new(scope, path))
}

fn of_type(content_type: &'static str, content: impl Into<Bytes>) -> Response {
    bytes(content).header(CONTENT_TYPE, HeaderValue::from_static(content_type))
}
