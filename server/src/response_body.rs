//! The content of a response, as hyper takes it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate::HttpResponseStart;
use callgate_drive::{Incomplete, ResponseBody};
use http::Response;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Guard;

/// A response of this head.
pub(crate) fn respond<B>(head: HttpResponseStart, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    // The map that is replaced is empty. Dropping it would cost more than making the response.
    std::mem::forget(std::mem::replace(response.headers_mut(), head.headers));
    response
}

/// A body that counts its exchange as running for as long as it is there, if it has a guard.
#[derive(Debug)]
pub(crate) struct Guarded {
    body: ResponseBody,
    guard: Option<Guard>,
}

impl Guarded {
    pub(crate) fn new(body: ResponseBody) -> Self {
        Self { body, guard: None }
    }

    pub(crate) fn set_guard(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Whether hyper takes all of the content at once, before it does anything else.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.body.is_in_memory()
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
