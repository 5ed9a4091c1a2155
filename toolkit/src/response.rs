//! The type of every response: a head and its content.

use std::future::Future;

use bytes::Bytes;
use callgate::{AppError, HttpResponseBody, HttpResponseStart, SendEvent, Sender, header_methods};
use http::StatusCode;

/// A response: a head, and content that is sent after it.
///
/// Every response is sent by [`send`](Self::send), which needs the sender only. What content needs
/// besides is given to the function that creates it: a file gets the scope, a stream the receiver.
/// So a text needs one argument, and the type of a response names the values that it borrows.
///
/// The type of the content is [`Bytes`] by default. An [`http::Response`] of bytes converts into
/// it.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::respond;
/// use http::StatusCode;
///
/// async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::json(&["ordered"])?
///         .status(StatusCode::CREATED)
///         .header("location", "/orders/7")
///         .send(&sender)
///         .await
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a response is sent by `send`"]
pub struct Response<C = Bytes> {
    /// The head.
    pub start: HttpResponseStart,
    /// The content.
    pub content: C,
}

/// The content of a [`Response`]: bytes, a stream, a file.
///
/// Applications with another source of content implement this, and send it as any other response.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_toolkit::respond::{Content, Response};
///
/// /// The numbers up to a last one.
/// struct Count(u32);
///
/// impl Content for Count {
///     async fn send_after(self, start: HttpResponseStart, sender: &Sender) -> Result<(), AppError> {
///         sender.send(start).await?;
///         for number in 1..=self.0 {
///             sender.send(HttpResponseBody::part(format!("{number}\n"))).await?;
///         }
///         sender.send(HttpResponseBody::end()).await?;
///         Ok(())
///     }
/// }
///
/// async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     Response::new(Count(3)).send(&sender).await
/// }
/// ```
pub trait Content: Send {
    /// Sends `start`, and this content after it to its end.
    ///
    /// # Errors
    ///
    /// A failed send; a failure of the source of the content.
    fn send_after(
        self,
        start: HttpResponseStart,
        sender: &Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send;
}

impl Content for Bytes {
    async fn send_after(self, start: HttpResponseStart, sender: &Sender) -> Result<(), AppError> {
        sender.send(start).await?;
        sender.send(HttpResponseBody::last(self)).await?;
        Ok(())
    }
}

impl<C> Response<C> {
    /// Creates a response with this content, status 200 and no header fields.
    pub fn new(content: C) -> Self {
        Self {
            start: HttpResponseStart::ok(),
            content,
        }
    }

    /// Sets the status. Default 200.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.start.status = status;
        self
    }

    header_methods!(response => response.start.headers);

    /// Sends the head and all of the content. Resolves when the transport has taken the last of it.
    ///
    /// # Errors
    ///
    /// A failed send, as [`Sender::send`]; a failure of the source of the content, with which the
    /// server cuts a response that it has begun (rule `HTTP-33`).
    pub async fn send(self, sender: &Sender) -> Result<(), AppError>
    where
        C: Content,
    {
        self.content.send_after(self.start, sender).await
    }
}

impl Response {
    /// Sends the response in place of a WebSocket (rule `EXT-12`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]: [`SendError::NotOffered`](callgate::SendError::NotOffered) where the
    /// scope does not offer [`Feature::DenialResponse`](callgate::Feature::DenialResponse).
    pub async fn deny(self, sender: &Sender) -> Result<(), AppError> {
        let start = SendEvent::DenialResponseStart(self.start);
        let body = HttpResponseBody::last(self.content);
        sender.send(start).await?;
        sender.send(SendEvent::DenialResponseBody(body)).await?;
        Ok(())
    }
}

impl<B: Into<Bytes>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let mut response = Self::new(body.into()).status(head.status);
        response.start.headers = head.headers;
        response
    }
}
