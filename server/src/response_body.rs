//! The content of a response, for hyper.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpResponseStart;
use callgate_drive::{Incomplete, ResponseBody};
use http::Response;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Guard;
use crate::link::Link;

/// Creates a response with this head.
pub(crate) fn respond<B>(head: HttpResponseStart, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    // The map that is replaced is empty. Dropping it would cost more than creating the response.
    std::mem::forget(std::mem::replace(response.headers_mut(), head.headers));
    response
}

/// The result of polling a body.
type Given = Option<Result<Frame<Bytes>, Incomplete>>;

/// A body with the guard that counts its exchange as running, if it needs one.
#[derive(Debug)]
pub(crate) struct Guarded {
    body: ResponseBody,
    guard: Option<Guard>,
    /// A result that hyper may not have yet.
    held: Option<Box<Given>>,
}

impl Guarded {
    pub(crate) fn new(body: ResponseBody) -> Self {
        Self {
            body,
            guard: None,
            held: None,
        }
    }

    pub(crate) fn set_guard(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Returns whether hyper takes all of the content at once.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.body.is_in_memory()
    }

    /// Returns whether hyper may have no more of the response in this turn: see
    /// [`Link::has_content_to_skip`].
    pub(crate) fn waits(&self) -> bool {
        let link = self.guard.as_ref().map(Guard::link);
        link.is_some_and(Link::has_content_to_skip)
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Given> {
        let this = self.get_mut();
        let frame = match this.held.take() {
            Some(held) => *held,
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        if this.waits() {
            this.held = Some(Box::new(frame));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
