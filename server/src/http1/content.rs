//! The content of a request, on its way from the connection to the application.
//!
//! The connection decodes content when the application receives, and the application may receive on
//! another task. So both share a queue.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use callgate_http1::DecodeError;

/// The reason for which content cannot be read.
#[derive(Clone, Debug)]
pub(crate) enum ContentError {
    /// The content is malformed.
    Malformed(DecodeError),
    /// There is more content than the settings allow.
    TooLarge,
    /// The client made no progress in time.
    TooSlow,
    /// The connection has ended before the content.
    Cut,
}

/// Returns the status of the response to content that cannot be read; `None` when the client is
/// gone.
pub(super) fn status_for(error: &ContentError) -> Option<StatusCode> {
    match error {
        ContentError::Malformed(error) => Some(error.status()),
        ContentError::TooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
        ContentError::TooSlow => Some(StatusCode::REQUEST_TIMEOUT),
        ContentError::Cut => None,
    }
}

/// The content of a request, as the application receives it.
#[derive(Debug)]
pub(crate) enum RequestContent {
    /// The request has no content, or all of it has been taken.
    Empty,
    /// All of the content came with the head.
    Whole(Bytes),
    Streamed(ContentReceiver),
}

impl Body for RequestContent {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Whole(content) => {
                let content = std::mem::take(content);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(content))))
            }
            Self::Streamed(receiver) => receiver.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Streamed(receiver) => receiver.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(content) => SizeHint::with_exact(content.len() as u64),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}

/// Creates the two ends of the content of one request.
pub(super) fn channel() -> (ContentSender, ContentReceiver) {
    let queue = Arc::new(Queue::default());
    (ContentSender(queue.clone()), ContentReceiver(queue))
}

/// The end of the application.
#[derive(Debug)]
pub(crate) struct ContentReceiver(Arc<Queue>);

/// The end of the connection.
#[derive(Debug)]
pub(super) struct ContentSender(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    parts: VecDeque<Bytes>,
    end: Option<End>,
    /// Whether the application waits for a part.
    is_wanted: bool,
    /// Whether the application has dropped its end: no content is wanted any more.
    is_dropped: bool,
    /// The task that waits to receive.
    receiver: Option<Waker>,
    /// The task of the connection, which waits for the application to receive.
    connection: Option<Waker>,
}

/// The end of the content.
#[derive(Debug)]
enum End {
    Complete(Option<HeaderMap>),
    Failed(ContentError),
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ContentReceiver {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let mut queue = self.0.lock();
        if let Some(part) = queue.parts.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match &mut queue.end {
            Some(End::Complete(trailers)) => {
                let trailers = trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            Some(End::Failed(error)) => return Poll::Ready(Some(Err(error.clone()))),
            None => {}
        }
        queue.is_wanted = true;
        queue.receiver = Some(cx.waker().clone());
        let connection = queue.connection.take();
        drop(queue);
        if let Some(connection) = connection {
            connection.wake();
        }
        Poll::Pending
    }

    /// Returns whether nothing follows, not even trailer fields.
    fn is_end(&self) -> bool {
        let queue = self.0.lock();
        queue.parts.is_empty() && matches!(queue.end, Some(End::Complete(None)))
    }
}

impl Drop for ContentReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_dropped = true;
        queue.parts.clear();
        let connection = queue.connection.take();
        drop(queue);
        if let Some(connection) = connection {
            connection.wake();
        }
    }
}

/// Whether the application waits for content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// The application does not receive now.
    None,
    /// The application waits for content.
    Waiting,
    /// The application will not receive any more.
    Dropped,
}

impl ContentSender {
    /// Returns the demand of the application. The task is woken when that changes to a demand.
    pub(super) fn poll_demand(&self, cx: &mut Context<'_>) -> Demand {
        let mut queue = self.0.lock();
        let demand = queue.demand();
        if demand == Demand::None
            && !(queue.connection.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            queue.connection = Some(cx.waker().clone());
        }
        demand
    }

    /// Returns the demand of the application.
    pub(super) fn demand(&self) -> Demand {
        self.0.lock().demand()
    }

    /// Passes on a part of the content.
    pub(super) fn send(&self, part: Bytes, cx: &Context<'_>) {
        self.update(cx, |queue| queue.parts.push_back(part));
    }

    /// Records that the content is complete, with these trailer fields.
    pub(super) fn complete(self, trailers: HeaderMap, cx: &Context<'_>) {
        let trailers = (!trailers.is_empty()).then_some(trailers);
        self.update(cx, |queue| queue.end = Some(End::Complete(trailers)));
    }

    /// Records that the rest of the content cannot be read.
    pub(super) fn fail(self, error: ContentError, cx: &Context<'_>) {
        self.update(cx, |queue| queue.end = Some(End::Failed(error)));
    }

    /// Changes the queue, and wakes the application. A waker of the connection's own task is skipped,
    /// because the connection polls the application again after this call.
    fn update(&self, cx: &Context<'_>, change: impl FnOnce(&mut QueueState)) {
        let mut queue = self.0.lock();
        if queue.is_dropped {
            return;
        }
        change(&mut queue);
        queue.is_wanted = false;
        let receiver = queue.receiver.take();
        drop(queue);
        if let Some(receiver) = receiver
            && !receiver.will_wake(cx.waker())
        {
            receiver.wake();
        }
    }
}

impl Drop for ContentSender {
    /// The connection decodes no more of the content. An application that waits for it, on whichever
    /// task, is woken.
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        if queue.end.is_some() || queue.is_dropped {
            return;
        }
        queue.end = Some(End::Failed(ContentError::Cut));
        let receiver = queue.receiver.take();
        drop(queue);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

impl QueueState {
    fn demand(&self) -> Demand {
        if self.is_dropped {
            Demand::Dropped
        } else if self.is_wanted {
            Demand::Waiting
        } else {
            Demand::None
        }
    }
}
