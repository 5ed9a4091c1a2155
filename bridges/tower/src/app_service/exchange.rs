//! One HTTP exchange: the application is polled in place, by whoever waits for the response.

use std::error::Error;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use callgate::{BoxApp, HttpResponseStart, HttpScope};
use callgate_drive::ResponseBody;
use callgate_drive::http as drive;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::LengthLimitError;
use http_body_util::combinators::UnsyncBoxBody;

use super::detach;
use crate::BoxError;

/// The content of a request, of whatever kind.
pub(super) type Incoming = UnsyncBoxBody<Bytes, BoxError>;

/// A response in the making.
#[derive(Debug)]
pub(super) struct Exchange {
    inner: drive::Exchange<Incoming>,
    grace: Duration,
}

impl Exchange {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        body: Incoming,
        grace: Duration,
    ) -> Self {
        Self {
            inner: drive::Exchange::new(app, scope, body, judge),
            grace,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let response = ready!(self.inner.poll(cx));
        self.leave();
        Poll::Ready(match response {
            drive::Response::Begun(head, body) => respond(head, body),
            drive::Response::Replacement(status) => replacement(status),
            drive::Response::Gone => replacement(StatusCode::BAD_REQUEST),
        })
    }

    /// One that streams, or works on after its response, or whose client is gone, goes on by itself.
    fn leave(&mut self) {
        if let Some((call, end)) = self.inner.leave() {
            detach(call, end, self.grace);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A response of this head.
pub(super) fn respond(head: HttpResponseStart, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// A response that is not the application's: its status in words.
pub(super) fn replacement(status: StatusCode) -> Response<ResponseBody> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(ResponseBody::from(Bytes::from(reason)));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// The answer to content that cannot be read: a layer may limit it.
fn judge(error: &BoxError) -> Option<StatusCode> {
    let mut source: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return Some(StatusCode::PAYLOAD_TOO_LARGE);
        }
        source = error.source();
    }
    Some(StatusCode::BAD_REQUEST)
}
