//! The response to an HTTP request: the task that waits for the response polls the application in
//! place.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use callgate::{BoxApp, HttpScope};
use callgate_drive::http::{self as drive, Exchange};
use callgate_drive::{ResponseBody, ShutdownSignal};
use http::{Response, StatusCode};
use http_body_util::LengthLimitError;
use http_body_util::combinators::UnsyncBoxBody;

use super::detach::detach;
use super::replacement::replacement;
use crate::BoxError;

/// The content of a request, for every type of body.
pub(super) type BoxContent = UnsyncBoxBody<Bytes, BoxError>;

/// The future of the response to an HTTP request. When the future is dropped, the application
/// receives a disconnect.
#[derive(Debug)]
pub(super) struct HttpResponseFuture {
    exchange: Exchange<BoxContent>,
    grace_period: Duration,
}

impl HttpResponseFuture {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        body: BoxContent,
        shutdown: &ShutdownSignal,
        grace_period: Duration,
    ) -> Self {
        Self {
            exchange: Exchange::new(app, scope, body, status_for, shutdown),
            grace_period,
        }
    }

    /// Moves a call to a task of its own: the call streams, works after its response, or has lost
    /// its client.
    fn detach(&mut self) {
        if let Some((call, end)) = self.exchange.detach() {
            detach(call, end, self.grace_period);
        }
    }
}

impl Future for HttpResponseFuture {
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let this = self.get_mut();
        let response = loop {
            match ready!(this.exchange.poll(cx)) {
                // A tower service has one response, so early hints are not offered.
                drive::Response::EarlyHints(_) => {}
                drive::Response::Started(head, body) => break head.into_response(body),
                drive::Response::Replacement(status) => break replacement(status),
                drive::Response::Disconnected => break replacement(StatusCode::BAD_REQUEST),
            }
        };
        this.detach();
        Poll::Ready(response)
    }
}

impl Drop for HttpResponseFuture {
    fn drop(&mut self) {
        self.detach();
    }
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
