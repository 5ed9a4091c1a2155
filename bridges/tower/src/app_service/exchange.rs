//! One HTTP exchange: the task that waits for the response polls the application in place.

use std::error::Error;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use callgate::{BoxApp, HttpResponseStart, HttpScope};
use callgate_drive::http as drive;
use callgate_drive::{ResponseBody, ShutdownSignal};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::LengthLimitError;
use http_body_util::combinators::UnsyncBoxBody;

use super::detach;
use crate::BoxError;

/// The content of a request, for every type of body.
pub(super) type BoxContent = UnsyncBoxBody<Bytes, BoxError>;

/// An exchange whose response has not started.
#[derive(Debug)]
pub(super) struct Exchange {
    inner: drive::Exchange<BoxContent>,
    grace_period: Duration,
}

impl Exchange {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        body: BoxContent,
        shutdown: &ShutdownSignal,
        grace_period: Duration,
    ) -> Self {
        Self {
            inner: drive::Exchange::new(app, scope, body, status_for, shutdown),
            grace_period,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let response = loop {
            match ready!(self.inner.poll(cx)) {
                // A tower service has one response, so early hints are not offered.
                drive::Response::EarlyHints(_) => {}
                drive::Response::Started(head, body) => break respond(head, body),
                drive::Response::Replacement(status) => break replacement(status),
                drive::Response::Disconnected => break replacement(StatusCode::BAD_REQUEST),
            }
        };
        self.detach();
        Poll::Ready(response)
    }

    /// Moves a call to a task of its own: the call streams, works after its response, or has lost
    /// its client.
    fn detach(&mut self) {
        if let Some((call, end)) = self.inner.detach() {
            detach(call, end, self.grace_period);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Creates the response with this head.
pub(super) fn respond(head: HttpResponseStart, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// Creates a response in place of the application's. The content is the reason phrase of the
/// status.
pub(super) fn replacement(status: StatusCode) -> Response<ResponseBody> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(ResponseBody::from(Bytes::from(reason)));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Returns the status of the response when the content cannot be read: a layer may limit its
/// length.
fn status_for(error: &BoxError) -> Option<StatusCode> {
    let mut source: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return Some(StatusCode::PAYLOAD_TOO_LARGE);
        }
        source = error.source();
    }
    Some(StatusCode::BAD_REQUEST)
}
