//! The mailbox of one HTTP exchange, which the application and the server share.

use std::fmt;
use std::task::{Context, Poll, ready};

use callgate::{Channel, HttpScope, ReceiveEvent, SendError, SendEvent, SendProgress};
use tokio::task::coop;

use super::content::{Content, ErrorStatus};
use super::response::Response;
use super::state::MailboxState;
use crate::ShutdownSignal;
use crate::call::{CallResult, EndReport, ServerEnd};
use crate::output::{Incomplete, Output, OutputSource};
use crate::request_body::{RequestBody, RequestPart, poll_part};
use crate::sync::{Mutex, register};

/// The mailbox of one exchange.
pub(super) struct Mailbox<B: Content> {
    state: Mutex<MailboxState<B>>,
    status_for: ErrorStatus<B::Error>,
}

impl<B: Content> Mailbox<B> {
    /// Creates the mailbox of an exchange, with the content of its request.
    pub(super) fn new(
        scope: &HttpScope,
        request: B,
        status_for: ErrorStatus<B::Error>,
        shutdown: &ShutdownSignal,
    ) -> Self {
        Self {
            state: Mutex::new(MailboxState::new(scope, request, shutdown)),
            status_for,
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut MailboxState<B> {
        self.state.get_mut()
    }

    /// Returns what to respond with, once the application has sent enough.
    pub(super) fn poll_response(&self, cx: &mut Context<'_>) -> Poll<Response> {
        self.state.with(|state| state.poll_response(cx))
    }

    /// Returns whether the response has started and more of its content is to be polled for.
    pub(super) fn is_streaming(&self) -> bool {
        self.state.with(|state| state.is_streaming())
    }

    /// Puts back the body after reading, and returns the event that reading yielded.
    fn after_reading(&self, body: B, part: Poll<RequestPart<B::Error>>) -> Poll<ReceiveEvent> {
        let failed = match &part {
            Poll::Ready(RequestPart::Failed(error)) => Some((self.status_for)(error)),
            _ => None,
        };
        let mut state = self.state.lock();
        // The exchange may have ended on another thread while the body was read.
        if matches!(state.request, RequestBody::Finished) {
            drop(state);
            drop(body);
            return Poll::Ready(ReceiveEvent::HttpDisconnect);
        }
        state.request = RequestBody::Incoming(body);
        match part {
            Poll::Pending => Poll::Pending,
            Poll::Ready(RequestPart::Event(event)) => {
                if !event.more_body {
                    state.content_delivered();
                }
                Poll::Ready(ReceiveEvent::HttpRequestBody(event))
            }
            Poll::Ready(RequestPart::Failed(_)) => {
                state.content_failed(failed.flatten());
                Poll::Ready(ReceiveEvent::HttpDisconnect)
            }
        }
    }
}

impl<B: Content> fmt::Debug for Mailbox<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl<B: Content> Channel for Mailbox<B> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut body = {
            let mut state = self.state.lock();
            if state.conversation.is_over() && matches!(state.request, RequestBody::Finished) {
                return Poll::Ready(ReceiveEvent::HttpDisconnect);
            }
            register(&mut state.receiver, cx.waker());
            match std::mem::replace(&mut state.request, RequestBody::Reading) {
                RequestBody::Incoming(body) => body,
                RequestBody::Reading => return Poll::Pending,
                RequestBody::Delivered => {
                    state.request = RequestBody::Delivered;
                    return state.poll_shutdown(cx);
                }
                RequestBody::Finished => {
                    state.request = RequestBody::Finished;
                    state.disconnect();
                    return Poll::Ready(ReceiveEvent::HttpDisconnect);
                }
            }
        };
        let part = poll_part(&mut body, cx);
        self.after_reading(body, part)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_discarding = self.state.with(|state| {
            if state.is_full() {
                state.senders.register(cx.waker());
                return None;
            }
            Some(state.is_discarding())
        });
        let Some(is_discarding) = is_discarding else {
            return Poll::Pending;
        };
        if is_discarding {
            // A mailbox that discards is always ready. The budget lets the other tasks of the
            // thread run.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.state.with(|state| state.send(event))
    }

    fn poll_start_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<SendProgress, SendError>> {
        let progress = self.state.with(|state| {
            if state.is_full() || state.is_discarding() {
                return None;
            }
            Some(state.send(event.take().expect("an event to send")))
        });
        match progress {
            Some(progress) => Poll::Ready(progress),
            None => {
                ready!(self.poll_ready(cx));
                Poll::Ready(self.start_send(event.take().expect("an event to send")))
            }
        }
    }
}

impl<B: Content> ServerEnd for Mailbox<B> {
    fn end(&self, result: &CallResult) -> EndReport {
        self.state.lock().end(result)
    }

    fn disconnect(&self) {
        self.state.lock().disconnect();
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_discarding(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.is_discarding() && !state.conversation.is_over() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }
}

impl<B: Content> OutputSource for Mailbox<B> {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        self.state.lock().poll_output(cx)
    }

    fn content_complete(&self) {
        self.state.lock().content_complete();
    }
}
