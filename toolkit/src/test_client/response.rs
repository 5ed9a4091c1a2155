//! Responses, whole or as they come.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::response::Parts;
use http::{HeaderMap, Response};

use super::error::Error;
use super::exchange::Exchange;
use super::http_state::{End, Reading};

/// The content of a response, read part by part.
///
/// While nobody reads, the application's sends stay pending after the first (rule `CORE-08`).
/// Dropped before its end, the client has gone away.
#[derive(Debug)]
pub struct Streaming {
    head: Box<Parts>,
    exchange: Exchange,
    end: Option<End>,
    trailers: Option<HeaderMap>,
}

impl Streaming {
    pub(super) fn new(head: Parts, exchange: Exchange) -> Self {
        Self {
            head: Box::new(head),
            exchange,
            end: None,
            trailers: None,
        }
    }

    /// The next part, as the application sent it; none at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Cut`], [`Error::Gone`] and [`Error::TimedOut`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let exchange = self.exchange.clone();
        let chunk = poll_fn(|cx| self.poll_chunk(cx));
        exchange.wait("content of the response", chunk).await?
    }

    /// The rest, whole.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk); [`Error::Cut`] holds what there was of the rest.
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

    /// The trailer fields, once all of the content has been read; none when there are none.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The exchange that the response comes from.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let reading = match self.end {
            Some(end) => Reading::End(end, HeaderMap::new()),
            None => {
                let link = &self.exchange.link;
                std::task::ready!(link.poll_take(cx, |state| state.http()?.read()))
            }
        };
        let end = match reading {
            Reading::Part(part) => return Poll::Ready(Ok(Some(part))),
            Reading::End(end, trailers) => {
                if !trailers.is_empty() {
                    self.trailers = Some(trailers);
                }
                end
            }
        };
        self.end = Some(end);
        Poll::Ready(match end {
            End::Whole => Ok(None),
            End::Cut => {
                let head = Parts::clone(&self.head);
                Err(Error::Cut(Response::from_parts(head, Bytes::new()).into()))
            }
            End::Gone => Err(Error::Gone),
        })
    }
}

impl Stream for Streaming {
    type Item = Result<Bytes, Error>;

    /// As [`chunk`](Self::chunk), without the client's patience.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // An error is told once.
        if this.end.is_some() {
            return Poll::Ready(None);
        }
        this.poll_chunk(cx).map(Result::transpose)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.exchange.link.change(|state| {
                if let Some(http) = state.http() {
                    http.abandon();
                }
            });
        }
    }
}
