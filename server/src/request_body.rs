//! The content of a request, as events.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate::HttpRequest;
use http_body::Body;
use hyper::body::Incoming;

/// The content of a request and how far it has been delivered.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Still being delivered. Reading happens here, when the application receives, so that nothing
    /// is taken in that nobody wants, and `100 Continue` goes out when it is wanted.
    Incoming(Incoming),
    /// Delivered, all of it.
    Delivered,
    /// Nobody wants the rest.
    Finished,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum RequestPart {
    Event(HttpRequest),
    /// The client sent what is no content.
    Malformed,
    /// The client is gone.
    Lost,
}

impl RequestBody {
    /// The next part. Pending for ever once all has been delivered.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<RequestPart> {
        let body = match self {
            Self::Incoming(body) => body,
            Self::Delivered => return Poll::Pending,
            Self::Finished => return Poll::Ready(RequestPart::Lost),
        };
        let event = if body.is_end_stream() {
            HttpRequest::last(Bytes::new())
        } else {
            match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => HttpRequest::last(Bytes::new()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => HttpRequest::new(data, !body.is_end_stream()),
                    Err(frame) => {
                        let mut last = HttpRequest::default();
                        last.trailers = frame.into_trailers().ok().map(Box::new);
                        last
                    }
                },
                Some(Err(error)) => {
                    *self = Self::Finished;
                    return Poll::Ready(if is_malformed(&error) {
                        RequestPart::Malformed
                    } else {
                        RequestPart::Lost
                    });
                }
            }
        };
        if !event.more_body {
            *self = Self::Delivered;
        }
        Poll::Ready(RequestPart::Event(event))
    }
}

/// Whether the content could be read but not understood, as opposed to cut short.
fn is_malformed(error: &hyper::Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            )
        })
}
