//! The content of a request, as events.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpRequestBody;
use callgate::message::is_forbidden_trailer;
use http::HeaderMap;
use http_body::Body;

use crate::head::remove_fields;

/// The content of a request, and whether it has been delivered.
#[derive(Debug)]
pub(crate) enum RequestBody<B> {
    /// More is to be delivered. The content is read when the application receives. So the server
    /// takes in no content before, and sends `100 Continue` at that moment.
    Incoming(B),
    /// The body is taken out, as the application is reading it.
    Reading,
    /// All of the content has been delivered.
    Delivered,
    /// The exchange is over; the rest of the content is not read.
    Finished,
}

/// The result of reading.
#[derive(Debug)]
pub(crate) enum RequestPart<E> {
    Event(HttpRequestBody),
    /// The content could not be read.
    Failed(E),
}

/// Reads the next part. The caller holds no lock, as the body is foreign code.
pub(crate) fn poll_part<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    cx: &mut Context<'_>,
) -> Poll<RequestPart<B::Error>> {
    if body.is_end_stream() {
        return Poll::Ready(RequestPart::Event(HttpRequestBody::last(Bytes::new())));
    }
    Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
        None => RequestPart::Event(HttpRequestBody::last(Bytes::new())),
        Some(Ok(frame)) => RequestPart::Event(match frame.into_data() {
            Ok(data) => HttpRequestBody::new(data, !body.is_end_stream()),
            Err(frame) => {
                let mut last = HttpRequestBody::default();
                last.trailers = frame.into_trailers().ok().and_then(allowed);
                last
            }
        }),
        Some(Err(error)) => RequestPart::Failed(error),
    })
}

/// Returns the trailer fields without those that cannot be trailer fields (rule `EXT-05`), or `None` if
/// none are left.
fn allowed(mut trailers: HeaderMap) -> Option<Box<HeaderMap>> {
    remove_fields(&mut trailers, is_forbidden_trailer);
    (!trailers.is_empty()).then(|| Box::new(trailers))
}
