//! Responses: whole, streamed, or in place of a WebSocket.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::respond;
//! use http::StatusCode;
//!
//! async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let Scope::Http(scope) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
//!     match &*scope.route_path() {
//!         "/" => respond::redirect("/hello").send(&sender).await?,
//!         "/hello" => respond::text("Hello!\n").send(&sender).await?,
//!         _ => {
//!             let response = respond::text("Nothing is here.\n").status(StatusCode::NOT_FOUND);
//!             response.send(&sender).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;

use bytes::Bytes;
use callgate::{AppError, HttpResponseBody, HttpResponseStart, SendError, SendEvent, Sender};
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};

/// A whole response, which is sent with [`send`](Self::send).
///
/// Also made from an [`http::Response`] of bytes.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a response is sent by `send`"]
pub struct Response {
    /// The head.
    pub start: HttpResponseStart,
    /// The content.
    pub body: Bytes,
}

/// Content of no stated type: 200, until [`status`](Response::status) says otherwise.
pub fn bytes(content: impl Into<Bytes>) -> Response {
    Response {
        start: HttpResponseStart::ok(),
        body: content.into(),
    }
}

/// Plain text: `text/plain; charset=utf-8`.
pub fn text(text: impl Into<String>) -> Response {
    of_type("text/plain; charset=utf-8", text.into())
}

/// A page: `text/html; charset=utf-8`.
pub fn html(page: impl Into<String>) -> Response {
    of_type("text/html; charset=utf-8", page.into())
}

/// A value as `application/json`.
///
/// # Errors
///
/// When the value cannot be JSON.
#[cfg(feature = "json")]
pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Response, serde_json::Error> {
    serde_json::to_vec(value).map(|json| of_type("application/json", json))
}

/// No content, and this status: 204, for example.
pub fn status(status: StatusCode) -> Response {
    bytes(Bytes::new()).status(status)
}

/// A redirect to another place: 307, with which clients repeat the method and the content. With
/// `.status(StatusCode::SEE_OTHER)` they make a GET request.
///
/// # Panics
///
/// When the place has a line break or a control character: what comes from a client is
/// percent-encoded first.
pub fn redirect(location: impl AsRef<str>) -> Response {
    status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location.as_ref())
}

/// Says that the method is not served here: 405, with the ones that are.
///
/// # Panics
///
/// When `allowed` cannot be a header field.
pub fn method_not_allowed(allowed: &str) -> Response {
    text(format!("Only these methods are served here: {allowed}.\n"))
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .header("allow", allowed)
}

fn of_type(content_type: &'static str, content: impl Into<Bytes>) -> Response {
    bytes(content).header(CONTENT_TYPE, HeaderValue::from_static(content_type))
}

impl Response {
    /// With this status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.start.status = status;
        self
    }

    /// Sets a header field, in place of any of the same name.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        set(&mut self.start.headers, name, value);
        self
    }

    /// Sends it: the head and one body event.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(self, sender: &Sender) -> Result<(), SendError> {
        sender.send(self.start).await?;
        sender.send(HttpResponseBody::last(self.body)).await
    }

    /// Sends it in place of a WebSocket (rule `EXT-12`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]: [`SendError::NotOffered`] where the scope does not offer
    /// [`Feature::DenialResponse`](callgate::Feature::DenialResponse).
    pub async fn deny(self, sender: &Sender) -> Result<(), SendError> {
        let body = HttpResponseBody::last(self.body);
        sender
            .send(SendEvent::DenialResponseStart(self.start))
            .await?;
        sender.send(SendEvent::DenialResponseBody(body)).await
    }
}

impl<B: Into<Bytes>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let mut response = bytes(body).status(parts.status);
        response.start.headers = parts.headers;
        response
    }
}

/// A response whose content comes bit by bit: each item is sent as it comes, and the next is asked
/// for when the transport has taken it.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::respond;
/// use futures_util::stream;
///
/// async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     let lines = (0..3).map(|line| Ok::<_, std::io::Error>(format!("{line}\n")));
///     let response = respond::stream(stream::iter(lines)).header("content-type", "text/plain");
///     response.send(&sender).await
/// }
/// ```
pub fn stream<S, B, E>(content: S) -> StreamResponse<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    StreamResponse {
        start: HttpResponseStart::ok(),
        content,
    }
}

/// A response that is streamed: made by [`stream`].
#[derive(Clone, Debug)]
#[must_use = "a response is sent by `send`"]
pub struct StreamResponse<S> {
    start: HttpResponseStart,
    content: S,
}

impl<S> StreamResponse<S> {
    /// With this status. Default 200.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.start.status = status;
        self
    }

    /// Sets a header field, in place of any of the same name.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        set(&mut self.start.headers, name, value);
        self
    }

    /// Sends it: the head at once, then each item, then the end.
    ///
    /// A client that goes away is noticed by the next item. Where items are rare,
    /// [`read::disconnected`](crate::read::disconnected) beside it notices at once.
    ///
    /// # Errors
    ///
    /// A failed send; an error of the stream, with which the server cuts the response (rule
    /// `HTTP-33`).
    pub async fn send<B, E>(self, sender: &Sender) -> Result<(), AppError>
    where
        S: Stream<Item = Result<B, E>>,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        sender.send(self.start).await?;
        sender.send(HttpResponseBody::part("")).await?;
        let mut content = std::pin::pin!(self.content);
        while let Some(part) = content.next().await {
            let part = part.map_err(AppError::failed)?;
            sender.send(HttpResponseBody::part(part)).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
}

pub(crate) fn set<N, V>(headers: &mut HeaderMap, name: N, value: V)
where
    N: TryInto<HeaderName>,
    N::Error: fmt::Debug,
    V: TryInto<HeaderValue>,
    V::Error: fmt::Debug,
{
    headers.insert(
        name.try_into().expect("a valid header name"),
        value.try_into().expect("a valid header value"),
    );
}
