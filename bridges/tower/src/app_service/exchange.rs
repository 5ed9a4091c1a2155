//! One HTTP exchange: the application is polled in place, by whoever waits for the response.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{BoxApp, HttpResponseStart, HttpScope};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::body::{Content, ResponseBody, Source as _};
use super::call::Call;
use super::mailbox::{Answer, Incoming, Mailbox};

/// A response in the making.
#[derive(Debug)]
pub(super) struct Exchange {
    /// None once the application's call has ended or has moved to a task.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    is_answered: bool,
}

impl Exchange {
    pub(super) fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        body: Incoming,
        grace: Duration,
    ) -> Self {
        let mailbox = Arc::new(Mailbox::new(&scope, body));
        let call = Call::new(app, scope.into(), &mailbox, grace);
        Self {
            call: Some(call),
            mailbox,
            is_answered: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &*self.mailbox).is_ready()
        {
            self.call = None;
        }
        let answer = ready!(self.mailbox.poll_answer(cx));
        self.is_answered = true;
        // One that streams, or works on after its response, goes on by itself.
        if let Some(call) = self.call.take() {
            match answer {
                Answer::HeadOnly(_) => call.detach_unheard(self.mailbox.clone()),
                _ => call.detach(self.mailbox.clone()),
            }
        }
        let (head, body) = match answer {
            Answer::Whole(head, Content::Data(data)) => (head, ResponseBody::whole(data)),
            Answer::Whole(head, Content::Trailers(_)) | Answer::HeadOnly(head) => {
                (head, ResponseBody::empty())
            }
            Answer::Streamed(head) => {
                let body = ResponseBody::streamed(self.mailbox.clone(), &head);
                (head, body)
            }
            Answer::Replacement(status) => return Poll::Ready(replacement(status)),
        };
        Poll::Ready(respond(head, body))
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
            call.detach(self.mailbox.clone());
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
    let mut response = Response::new(ResponseBody::whole(reason));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
