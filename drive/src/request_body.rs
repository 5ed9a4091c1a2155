//! The content of a request, as events.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpRequestBody;
use http_body::Body;

/// The content of a request and how far it has been delivered.
#[derive(Debug)]
pub(crate) enum RequestBody<B> {
    /// Still being delivered. Reading happens here, when the application receives, so that nothing
    /// is taken in that nobody wants, and `100 Continue` goes out when it is wanted.
    Incoming(B),
    /// Delivered, all of it.
    Delivered,
    /// Nobody wants the rest.
    Finished,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum RequestPart<E> {
    Event(HttpRequestBody),
    /// It could not be read.
    Failed(E),
    /// Nothing.
    None,
}

impl<B: Body<Data = Bytes> + Unpin> RequestBody<B> {
    /// The next part. Pending for ever once all has been delivered.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<RequestPart<B::Error>> {
        let body = match self {
            Self::Incoming(body) => body,
            Self::Delivered => return Poll::Pending,
            Self::Finished => return Poll::Ready(RequestPart::None),
        };
        let event = if body.is_end_stream() {
            HttpRequestBody::last(Bytes::new())
        } else {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => HttpRequestBody::last(Bytes::new()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => HttpRequestBody::new(data, !body.is_end_stream()),
                    Err(frame) => {
                        let mut last = HttpRequestBody::default();
                        last.trailers = frame.into_trailers().ok().map(Box::new);
                        last
                    }
                },
                Some(Err(error)) => {
                    *self = Self::Finished;
                    return Poll::Ready(RequestPart::Failed(error));
                }
            }
        };
        if !event.more_body {
            *self = Self::Delivered;
        }
        Poll::Ready(RequestPart::Event(event))
    }
}
