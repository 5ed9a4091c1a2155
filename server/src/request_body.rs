//! The content of a request.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::link::Link;

/// The content of a request, which hyper reads. Over HTTP/1, the content records in the link of its
/// connection that a part of it is left unread.
#[derive(Debug)]
pub(crate) struct RequestContent {
    incoming: Incoming,
    /// `None` over HTTP/2, and at the end of the content.
    link: Option<Arc<Link>>,
}

impl RequestContent {
    pub(crate) fn new(incoming: Incoming, version: Version, link: &Arc<Link>) -> Self {
        let may_be_left = version != Version::HTTP_2 && !incoming.is_end_stream();
        Self {
            incoming,
            link: may_be_left.then(|| link.clone()),
        }
    }
}

impl Drop for RequestContent {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.content_is_left();
        }
    }
}

impl Body for RequestContent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        let is_data = matches!(&frame, Some(Ok(frame)) if frame.is_data());
        if !is_data || this.incoming.is_end_stream() {
            this.link = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Returns the status of the response to malformed content; `None` for content that was cut short.
pub(crate) fn status_for(error: &hyper::Error) -> Option<StatusCode> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
    .then_some(StatusCode::BAD_REQUEST)
}
