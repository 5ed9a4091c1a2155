//! One HTTP exchange: the application is polled in place, by whoever waits for the response.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use callgate::{BoxApp, HttpResponseStart, HttpScope};
use callgate_drive::http::{self as drive, Mailbox};
use callgate_drive::{Call, RequestLine, ResponseBody, ServerEnd as _};
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
    /// None once the application's call has ended or has moved to a task.
    call: Option<Call>,
    mailbox: Arc<Mailbox<Incoming>>,
    grace: Duration,
    is_answered: bool,
}

impl Exchange {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        body: Incoming,
        grace: Duration,
    ) -> Self {
        let request = RequestLine::of_http(&scope);
        let mailbox = Arc::new(Mailbox::new(&scope, body, judge));
        let call = Call::new(app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            mailbox,
            grace,
            is_answered: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &mut self.mailbox).is_ready()
        {
            self.call = None;
        }
        let response = ready!(self.mailbox.poll_response(cx));
        self.is_answered = true;
        // One that streams, or works on after its response, goes on by itself.
        if let Some(call) = self.call.take() {
            detach(call, self.mailbox.clone(), self.grace);
        }
        Poll::Ready(match response {
            drive::Response::Whole(head, body) => respond(head, body),
            drive::Response::Streamed(head) => {
                let body = self.mailbox.streamed(&head);
                respond(head, body)
            }
            drive::Response::HeadOnly(head) => respond(head, ResponseBody::empty()),
            drive::Response::Replacement(status) => replacement(status),
            drive::Response::Gone => replacement(StatusCode::BAD_REQUEST),
        })
    }
}

impl Drop for Exchange {
    /// Whoever asked has gone away: the application is told, and ends in its own time.
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        if let Some(call) = self.call.take() {
            self.mailbox.disconnect();
            detach(call, self.mailbox.clone(), self.grace);
        }
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
