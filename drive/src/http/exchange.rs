//! The server's view of an exchange until its response has started.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::{BoxApp, HttpResponseStart, HttpScope};
use http::StatusCode;
use http_body::Body;

use super::mailbox::Mailbox;
use super::state::{Answer, MailboxState};
use crate::call::{Call, CallResult, EndReport, ServerEnd};
use crate::report::RequestLine;
use crate::sync::Deferring as _;
use crate::{ResponseBody, ShutdownSignal};

/// The content of a request: any [`Body`] of [`Bytes`].
pub trait Content: Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Content for B {}

/// Returns the status to respond with when content could not be read because of this error; `None`
/// when the client is gone.
pub type ErrorStatus<E> = fn(&E) -> Option<StatusCode>;

/// An exchange whose response has not started: the application's call and its mailbox.
///
/// The common case is one call of [`poll`](Self::poll): the application runs to its end, and its
/// response is complete.
#[derive(Debug)]
pub struct Exchange<B: Content> {
    /// `None` once the call has ended or has been detached.
    call: Option<Call>,
    mailbox: Arc<Mailbox<B>>,
    has_response: bool,
}

/// What the server responds with once the application has sent enough.
#[derive(Debug)]
pub enum Response {
    /// The application's response: its head, and its content, whole or as it comes. The body is
    /// empty where the client takes no content (HEAD) or the status allows none.
    Started(HttpResponseStart, ResponseBody),
    /// A response of the server's own, with this status.
    Replacement(StatusCode),
    /// No response, as the client is gone.
    Disconnected,
}

impl<B: Content> Exchange<B> {
    /// Calls the application with the content of the request. `status_for` decides what is responded
    /// to content that cannot be read. Where the scope offers
    /// [`Feature::Shutdown`](callgate::Feature::Shutdown), the application learns of `shutdown`.
    pub fn new(
        app: &BoxApp,
        scope: Box<HttpScope>,
        content: B,
        status_for: ErrorStatus<B::Error>,
        shutdown: &ShutdownSignal,
    ) -> Self {
        let request = RequestLine::of_http(&scope);
        let mailbox = Arc::new(Mailbox::new(&scope, content, status_for, shutdown));
        let call = Call::new(app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            mailbox,
            has_response: false,
        }
    }

    /// Sets a function that is called with the end of the call, for a server that records it. It is
    /// not called when the call is dropped before its end.
    pub fn on_end(&mut self, on_end: impl FnOnce(CallResult, EndReport) + Send + 'static) {
        if let Some(call) = &mut self.call {
            call.on_end(on_end);
        }
    }

    /// Polls the application, and returns the response once it is known. Must not be polled again
    /// after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let answer = ready!(self.poll_answer(cx));
        self.has_response = true;
        Poll::Ready(match answer {
            Answer::Whole(head, content) => Response::Started(head, content),
            Answer::Streamed(head) => {
                let content = ResponseBody::streamed(self.mailbox.clone(), &head);
                Response::Started(head, content)
            }
            Answer::Replacement(status) => Response::Replacement(status),
            Answer::Disconnected => Response::Disconnected,
        })
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        if let Some(call) = &mut self.call
            && let Poll::Ready(result) = call.poll_result(cx)
        {
            let mut call = self.call.take().expect("it has just been polled");
            // The application has dropped its ends, so nearly always nobody else has the mailbox.
            if let Some(mailbox) = Arc::get_mut(&mut self.mailbox) {
                let state = mailbox.get_mut();
                let report = state.end(&result);
                call.finish(result, report);
                let answer = state.poll_answer(cx);
                if let Some(work) = state.take_work() {
                    MailboxState::<B>::run(work);
                }
                return answer;
            }
            let report = self.mailbox.end(&result);
            call.finish(result, report);
        }
        self.mailbox.poll_answer(cx)
    }

    /// Detaches the call from the exchange: once there is a response, or when nobody waits for it
    /// any more. In the latter case the application learns that its client is gone.
    ///
    /// Returns the rest of the call, if it has not ended, for the caller to run: [`Call::run`].
    pub fn detach(&mut self) -> Option<(Call, Arc<impl ServerEnd + use<B>>)> {
        let call = self.call.take()?;
        if !self.has_response {
            self.mailbox.disconnect();
        }
        Some((call, self.mailbox.clone()))
    }
}
