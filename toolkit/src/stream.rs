//! Content that is sent as it comes: the items of a stream.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, SendError, Sender};
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt as _};
use http::header::CONTENT_LENGTH;

use crate::interruption::{Interruption, interruption};
use crate::response::{Content, Response};

/// The items of a stream, as the content of a [`Response`]: created by
/// [`respond::stream`](crate::respond::stream).
pub struct StreamContent<'a, S> {
    receiver: &'a mut Receiver,
    parts: S,
    ends_at_shutdown: bool,
}

impl<'a, S> StreamContent<'a, S> {
    pub(crate) fn new(receiver: &'a mut Receiver, parts: S) -> Self {
        Self {
            receiver,
            parts,
            ends_at_shutdown: true,
        }
    }
}

impl<S> Response<StreamContent<'_, S>> {
    /// Goes on to the end of the stream when the server shuts down.
    ///
    /// By default the response ends at a shutdown after the item that is being sent, and looks
    /// complete to its client: right for a stream that has no end of its own, wrong for a content that
    /// must be whole, such as an export. A response with a `content-length` always goes on.
    pub fn ignore_shutdown(mut self) -> Self {
        self.content.ends_at_shutdown = false;
        self
    }
}

impl<S> Content for StreamContent<'_, S>
where
    S: Stream<Item = Result<Bytes, AppError>> + Send,
{
    async fn send_after(self, start: HttpResponseStart, sender: &Sender) -> Result<(), AppError> {
        let is_whole = !self.ends_at_shutdown || start.headers.contains_key(CONTENT_LENGTH);
        let last_part = (!is_whole).then(Bytes::new);
        send_parts(self.receiver, sender, start, self.parts, last_part).await
    }
}

impl<S> fmt::Debug for StreamContent<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamContent")
            .field("ends_at_shutdown", &self.ends_at_shutdown)
            .finish_non_exhaustive()
    }
}

/// Sends a head and the parts of its content as they come, until the client goes away.
///
/// A shutdown of the server ends the content with `last_part`; without a last part the content goes
/// on.
pub(crate) async fn send_parts(
    receiver: &mut Receiver,
    sender: &Sender,
    start: HttpResponseStart,
    parts: impl Stream<Item = Result<Bytes, AppError>>,
    last_part: Option<Bytes>,
) -> Result<(), AppError> {
    sender.send(start).await?;
    // An empty part makes the server send the head.
    sender.send(HttpResponseBody::part(Bytes::new())).await?;
    let mut parts = pin!(parts);
    let last_part = loop {
        // The interruption is polled first: a stream that always has an item does not hide it.
        match select(pin!(interruption(receiver)), parts.next()).await {
            Either::Left((Interruption::Disconnected, _)) => {
                return Err(SendError::Disconnected.into());
            }
            Either::Left((Interruption::Shutdown, _)) => {
                if let Some(last_part) = last_part {
                    break last_part;
                }
                continue;
            }
            Either::Right((Some(part), _)) => {
                sender.send(HttpResponseBody::part(part?)).await?;
            }
            Either::Right((None, _)) => break Bytes::new(),
        }
    };
    sender.send(HttpResponseBody::last(last_part)).await?;
    Ok(())
}
