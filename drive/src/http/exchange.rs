//! An HTTP exchange until its response has started.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{BoxApp, HttpScope};
use tracing::Span;

use super::content::{Content, ErrorStatus};
use super::mailbox::Mailbox;
use super::response::Response;
use crate::call::{Call, CallResult, EndReport, ServerEnd};
use crate::report::RequestLine;
use crate::{ResponseBody, ShutdownSignal};

/// An exchange whose response has not started: the application's call and its mailbox.
///
/// In the common case [`poll`](Self::poll) is called once: the application runs to its end, and its
/// response is complete.
#[derive(Debug)]
pub struct Exchange<B: Content> {
    /// `None` once the call has ended or has been detached.
    call: Option<Call>,
    mailbox: Arc<Mailbox<B>>,
    has_response: bool,
}

impl<B: Content> Exchange<B> {
    /// Calls the application with the content of the request. `status_for` decides the status of
    /// the response when the content cannot be read. Where the scope offers
    /// [`Feature::Shutdown`](callgate::Feature::Shutdown), the application receives `http.shutdown`
    /// when `shutdown` is set.
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

    /// Sets a function that is called with the end of the call. The function is not called when the
    /// call is dropped before its end.
    pub fn on_end(&mut self, on_end: impl FnOnce(CallResult, EndReport) + Send + 'static) {
        if let Some(call) = &mut self.call {
            call.on_end(on_end);
        }
    }

    /// Has the application polled in a span. The span ends with the call at the earliest.
    pub fn instrument(&mut self, span: &Span) {
        if let Some(call) = &mut self.call {
            call.instrument(span);
        }
    }

    /// Keeps a value, such as a permit, until the call has ended or is dropped.
    pub fn hold(&mut self, value: impl Any + Send) {
        if let Some(call) = &mut self.call {
            call.hold(Box::new(value));
        }
    }

    /// Polls the application, and returns the response once it is known. The exchange must not be
    /// polled again after that, except after [`Response::EarlyHints`].
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = ready!(self.poll_response(cx));
        self.has_response = !matches!(response, Response::EarlyHints(_));
        if let Response::Started(head, content) = &mut response
            && self.is_streaming()
        {
            *content = ResponseBody::streamed(self.mailbox.clone(), head);
        }
        Poll::Ready(response)
    }

    fn is_streaming(&mut self) -> bool {
        match Arc::get_mut(&mut self.mailbox) {
            Some(mailbox) => mailbox.get_mut().is_streaming(),
            None => self.mailbox.is_streaming(),
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        if let Some(call) = &mut self.call
            && let Poll::Ready(result) = call.poll_result(cx)
        {
            let mut call = self.call.take().expect("it has just been polled");
            // The application has dropped its receiver and its sender, so the mailbox nearly always
            // has no other owner.
            if let Some(mailbox) = Arc::get_mut(&mut self.mailbox) {
                let state = mailbox.get_mut();
                let report = state.end(&result);
                call.finish(result, report);
                let response = state.poll_response(cx);
                state.run_work();
                return response;
            }
            let report = self.mailbox.end(&result);
            call.finish(result, report);
        }
        self.mailbox.poll_response(cx)
    }

    /// Detaches the call from the exchange, after the response is known or when the client is gone.
    /// In the latter case the application receives a disconnect.
    ///
    /// Returns the call if it has not ended. The caller runs it on: [`Call::run`].
    pub fn detach(&mut self) -> Option<(Call, Arc<impl ServerEnd + use<B>>)> {
        let call = self.call.take()?;
        if !self.has_response {
            self.mailbox.disconnect();
        }
        Some((call, self.mailbox.clone()))
    }
}
