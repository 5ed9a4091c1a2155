//! Responses: whole, or while they arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use callgate_drive::ResponseBody;
use futures_util::Stream;
use http::response::Parts;
use http::{HeaderMap, Response};
use http_body::Body as _;

use super::error::Error;
use super::exchange::TestExchange;

/// The content of a response, read part by part.
///
/// While a test does not read, the application's sends wait after the first (rule `CORE-08`). When the
/// content is dropped before its end, the client disconnects.
#[derive(Debug)]
pub struct Streaming {
    head: Box<Parts>,
    exchange: TestExchange,
    content: ResponseBody,
    is_finished: bool,
    trailers: Option<HeaderMap>,
}

impl Streaming {
    /// Splits a response from the server, which then holds its exchange.
    pub(super) fn of(response: Response<ResponseBody>, exchange: TestExchange) -> Response<Self> {
        let (mut head, content) = response.into_parts();
        head.extensions.insert(exchange.clone());
        let streaming = Self {
            head: Box::new(head.clone()),
            exchange,
            content,
            is_finished: false,
            trailers: None,
        };
        Response::from_parts(head, streaming)
    }

    /// Returns the next part, as the application sent it; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Violation`], [`Error::Cut`], [`Error::Disconnected`] and [`Error::TimedOut`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let exchange = self.exchange.clone();
        let chunk = poll_fn(|cx| self.poll_chunk(cx));
        let chunk = exchange.wait("content of the response", chunk).await?;
        match &chunk {
            Ok(None) => exchange.check()?,
            Err(Error::Cut(_)) => {
                // The call that cuts its response has ended, and its end is about to be recorded.
                let _ = exchange.ended().await;
                exchange.check()?;
            }
            _ => {}
        }
        chunk
    }

    /// Returns the rest of the content.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk). [`Error::Cut`] holds the part of the rest that came.
    pub async fn rest(&mut self) -> Result<Bytes, Error> {
        let mut rest = BytesMut::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) => rest.extend_from_slice(&chunk),
                Ok(None) => return Ok(rest.freeze()),
                Err(Error::Cut(mut response)) => {
                    *response.body_mut() = rest.freeze();
                    return Err(Error::Cut(response));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the trailer fields, if there are any and all of the content has been read.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Returns the exchange that the response comes from.
    #[must_use]
    pub fn exchange(&self) -> &TestExchange {
        &self.exchange
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        while !self.is_finished {
            match ready!(Pin::new(&mut self.content).poll_frame(cx)) {
                None => self.is_finished = true,
                Some(Err(_)) => return Poll::Ready(Err(self.incomplete())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Returns the error of content whose end does not come.
    fn incomplete(&self) -> Error {
        if self.exchange.record.is_disconnected() {
            return Error::Disconnected;
        }
        let head = Parts::clone(&self.head);
        Error::Cut(Response::from_parts(head, Bytes::new()).into())
    }
}

impl Stream for Streaming {
    type Item = Result<Bytes, Error>;

    /// Yields what [`chunk`](Self::chunk) returns, without a time-out and without [`Error::Violation`]: content that a
    /// broken rule has cut is [`Error::Cut`].
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let chunk = ready!(this.poll_chunk(cx)).transpose();
        // The stream yields an error once.
        this.is_finished |= matches!(chunk, Some(Err(_)));
        Poll::Ready(chunk)
    }
}

/// Reads all of a response.
pub(super) async fn whole(response: Response<Streaming>) -> Result<Response<Bytes>, Error> {
    let (mut head, mut content) = response.into_parts();
    let bytes = content.rest().await?;
    if let Some(trailers) = content.trailers.take() {
        head.extensions.insert(Trailers(trailers));
    }
    Ok(Response::from_parts(head, bytes))
}

#[derive(Clone)]
struct Trailers(HeaderMap);

/// The redirects that led to a response.
#[derive(Clone)]
pub(super) struct History(pub(super) Arc<[Response<Bytes>]>);

/// Accessors of a whole response.
pub trait ResponseExt {
    /// Returns the content as text.
    ///
    /// # Panics
    ///
    /// When the content is not UTF-8.
    fn text(&self) -> &str;

    /// Reads the content as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Content`], with the reason and the content.
    #[cfg(feature = "json")]
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error>;

    /// Returns the trailer fields, if there are any.
    fn trailers(&self) -> Option<&HeaderMap>;

    /// Returns the redirects that were [followed](super::TestClient::follow_redirects) to this response,
    /// in order.
    fn history(&self) -> &[Response<Bytes>];
}

impl ResponseExt for Response<Bytes> {
    fn text(&self) -> &str {
        std::str::from_utf8(self.body()).expect("content that is text")
    }

    #[cfg(feature = "json")]
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.body()).map_err(|error| {
            let content = self.body().escape_ascii();
            Error::Content(format!(
                "the response is not as expected: {error}: {content}"
            ))
        })
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        let trailers = self.extensions().get::<Trailers>();
        trailers.map(|Trailers(fields)| fields)
    }

    fn history(&self) -> &[Response<Bytes>] {
        let history = self.extensions().get::<History>();
        history.map_or(&[], |History(responses)| responses)
    }
}
