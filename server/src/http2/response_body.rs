//! The content of a response, for hyper.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate::HttpResponseStart;
use callgate_drive::{Incomplete, ResponseBody};
use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::load::Guard;

/// Creates a response with this head.
pub(super) fn respond<B>(head: HttpResponseStart, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// A body with the guard that counts its exchange as in flight.
#[derive(Debug)]
pub(super) struct GuardedBody {
    body: ResponseBody,
    _guard: Option<Guard>,
}

impl GuardedBody {
    pub(super) fn new(body: ResponseBody, guard: Option<Guard>) -> Self {
        Self {
            body,
            _guard: guard,
        }
    }
}

impl Body for GuardedBody {
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
