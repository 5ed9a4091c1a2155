//! The mailbox of an HTTP exchange: one slot, shared by the application and the service.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    Channel, HttpRequest, HttpResponseStart, HttpScope, ReceiveEvent, SendError, SendEvent,
    Violation,
};
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::Body as _;
use http_body_util::LengthLimitError;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::task::coop;

use super::body::{Content, Incomplete, Output, Source};
use super::call::CallEnd;
use super::trailers::Trailers;
use crate::BoxError;
use crate::wakers::{Wakers, register, wake};

/// The content of a request, of whatever kind.
pub(super) type Incoming = UnsyncBoxBody<Bytes, BoxError>;

/// What the application and the service share of one HTTP exchange.
#[derive(Debug)]
pub(super) struct Mailbox(Mutex<State>);

#[derive(Debug)]
struct State {
    conversation: HttpConversation,
    is_head_request: bool,
    request: Request,
    slot: Slot,
    /// Trailer fields that others follow: all of them go out at once.
    trailers: Trailers,
    /// The application, waiting to receive.
    receiver: Option<Waker>,
    /// The application and its other tasks, waiting to send.
    senders: Wakers,
    /// Whoever waits for output.
    output: Option<Waker>,
    /// The task that the application runs in, waiting for a disconnect.
    task: Option<Waker>,
}

#[derive(Debug)]
enum Request {
    /// Still being delivered. It is read when the application receives, and not before.
    Incoming(Incoming),
    /// Delivered, all of it.
    Delivered,
    /// Nobody wants the rest.
    Finished,
}

/// What waits to be taken.
#[derive(Debug)]
enum Slot {
    Empty,
    /// The head, held until the first output is there as well: that shows how to send it.
    Head(HttpResponseStart, Option<Output>),
    /// Further output.
    Next(Output),
    /// A response in place of the application's.
    Replacement(StatusCode),
    /// Nobody takes anything: there is to be no content, or all of it has been taken.
    Discard,
}

/// What the service answers once the application has said enough.
#[derive(Debug)]
pub(super) enum Answer {
    /// The whole response; trailer fields are all that comes if there is no content.
    Whole(HttpResponseStart, Content),
    /// The head, and output to come.
    Streamed(HttpResponseStart),
    /// The head alone: whatever content comes is discarded.
    HeadOnly(HttpResponseStart),
    Replacement(StatusCode),
}

impl Mailbox {
    pub(super) fn new(scope: &HttpScope, request: Incoming) -> Self {
        Self(Mutex::new(State {
            conversation: HttpConversation::new(scope),
            is_head_request: scope.method == Method::HEAD,
            request: Request::Incoming(request),
            slot: Slot::Empty,
            trailers: Trailers::default(),
            receiver: None,
            senders: Wakers::default(),
            output: None,
            task: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The user's body may panic while it is polled; nothing else is half done then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, once the application has said enough to know.
    pub(super) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Head(head, Some(first)) => {
                state.senders.wake_all();
                Poll::Ready(state.begin(head, first))
            }
            Slot::Replacement(status) => {
                state.finish_request();
                Poll::Ready(Answer::Replacement(status))
            }
            unchanged => {
                state.slot = unchanged;
                register(&mut state.output, cx);
                Poll::Pending
            }
        }
    }
}

impl Source for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Next(output) => {
                state.senders.wake_all();
                if output.is_last {
                    state.finish_request();
                }
                Poll::Ready(Ok(output))
            }
            _ if state.conversation.is_over() => Poll::Ready(Err(Incomplete)),
            _ => {
                register(&mut state.output, cx);
                Poll::Pending
            }
        }
    }

    fn disconnect(&self) {
        self.lock().disconnect();
    }

    fn taken(&self) {
        let mut state = self.lock();
        state.slot = Slot::Discard;
        state.senders.wake_all();
        if state.conversation.is_over() {
            state.finish_request();
        }
    }
}

impl CallEnd for Mailbox {
    fn end(&self, failure: Option<StatusCode>) -> Option<Violation> {
        let mut state = self.lock();
        let is_replaceable = state.conversation.is_replaceable();
        let violation = state.conversation.returned().err();
        let status = match failure {
            None if violation.is_some() => Some(StatusCode::INTERNAL_SERVER_ERROR),
            failure => failure,
        };
        if let Some(status) = status
            && is_replaceable
        {
            state.slot = Slot::Replacement(status);
        }
        wake(&mut state.output);
        state.senders.wake_all();
        violation
    }

    fn is_declinable(&self) -> bool {
        self.lock().conversation.is_replaceable()
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx);
        Poll::Pending
    }
}

impl State {
    fn disconnect(&mut self) {
        self.conversation.disconnect();
        self.finish_request();
        self.senders.wake_all();
        wake(&mut self.task);
        wake(&mut self.output);
    }

    /// Lets go of the rest of the request, and tells an application that still receives.
    fn finish_request(&mut self) {
        self.request = Request::Finished;
        wake(&mut self.receiver);
    }

    /// Begins the response, now that its head and the first of its content are known.
    fn begin(&mut self, head: HttpResponseStart, first: Output) -> Answer {
        if first.is_last {
            self.finish_request();
        }
        let has_no_content = matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        );
        if self.is_head_request || has_no_content {
            self.slot = Slot::Discard;
            Answer::HeadOnly(if first.is_last {
                with_length(head, &first.content)
            } else {
                head
            })
        } else if first.is_last {
            Answer::Whole(head, first.content)
        } else {
            self.slot = Slot::Next(first);
            Answer::Streamed(head)
        }
    }

    /// Whether an event that carries output must wait for the one before it to be taken.
    fn is_full(&self) -> bool {
        matches!(self.slot, Slot::Head(_, Some(_)) | Slot::Next(_)) && !self.conversation.is_over()
    }

    /// Takes an event that the conversation has allowed.
    fn accept(&mut self, event: SendEvent) {
        let content = match event {
            SendEvent::HttpResponseStart(start) => {
                self.slot = Slot::Head(start, None);
                return;
            }
            SendEvent::HttpResponseBody(body) => Content::Data(body.body),
            SendEvent::HttpResponseTrailers(trailers) => {
                self.trailers.append(trailers.headers);
                if trailers.more_trailers {
                    return;
                }
                match std::mem::take(&mut self.trailers).into_fields() {
                    // There turned out to be none: the response ends as one without.
                    none if none.is_empty() => Content::Data(Bytes::new()),
                    all => Content::Trailers(Box::new(all)),
                }
            }
            _ => return,
        };
        let is_last = matches!(self.conversation.phase(), HttpPhase::Ended);
        match &mut self.slot {
            Slot::Head(_, first @ None) => *first = Some(Output { content, is_last }),
            Slot::Discard if is_last => self.finish_request(),
            Slot::Discard => {}
            slot => *slot = Slot::Next(Output { content, is_last }),
        }
        wake(&mut self.output);
    }

    /// Notes that a send broke a rule: 500 if nothing has been sent, else the response is cut.
    fn broken(&mut self, was_replaceable: bool) {
        if was_replaceable {
            self.slot = Slot::Replacement(StatusCode::INTERNAL_SERVER_ERROR);
        }
        self.finish_request();
        self.senders.wake_all();
        wake(&mut self.task);
        wake(&mut self.output);
    }

    /// The next part of the request's content. Pending for ever once all has been delivered.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        loop {
            let body = match &mut self.request {
                Request::Incoming(body) => body,
                Request::Delivered => return Poll::Pending,
                Request::Finished => return Poll::Ready(ReceiveEvent::HttpDisconnect),
            };
            let event = if body.is_end_stream() {
                HttpRequest::last(Bytes::new())
            } else {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => HttpRequest::last(Bytes::new()),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => HttpRequest::new(data, !body.is_end_stream()),
                        Err(frame) => match frame.into_trailers() {
                            Ok(trailers) => HttpRequest::last(Bytes::new()).trailers(trailers),
                            Err(_) => continue,
                        },
                    },
                    Some(Err(error)) => {
                        if self.conversation.is_replaceable() {
                            self.slot = Slot::Replacement(status_for(&*error));
                        }
                        self.disconnect();
                        return Poll::Ready(ReceiveEvent::HttpDisconnect);
                    }
                }
            };
            if !event.more_body {
                self.request = Request::Delivered;
            }
            return Poll::Ready(ReceiveEvent::HttpRequest(event));
        }
    }
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.lock();
        register(&mut state.receiver, cx);
        state.poll_content(cx)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        if state.is_full() {
            state.senders.register(cx);
            return Poll::Pending;
        }
        if matches!(state.slot, Slot::Discard) {
            // Nobody takes it, so nobody makes the application wait: its thread has other work, too.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let sent = event.as_ref().expect("an event to send");
        if let SendEvent::HttpResponseTrailers(trailers) = sent
            && matches!(state.conversation.phase(), HttpPhase::Trailers(_))
            && let Err(error) = state.trailers.check(&trailers.headers)
        {
            return Poll::Ready(Err(error));
        }
        let was_replaceable = state.conversation.is_replaceable();
        if let Err(error) = state.conversation.send(sent) {
            if error.rule().is_some() {
                state.broken(was_replaceable);
            }
            return Poll::Ready(Err(error));
        }
        if let Some(event) = event.take() {
            state.accept(event);
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer to content that cannot be read: a layer may limit it.
fn status_for(error: &(dyn std::error::Error + 'static)) -> StatusCode {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        source = error.source();
    }
    StatusCode::BAD_REQUEST
}

/// Says how long the content would be that is left out. Of empty content nothing is said: the
/// application may have left it out itself.
fn with_length(mut head: HttpResponseStart, content: &Content) -> HttpResponseStart {
    if let Content::Data(data) = content
        && !data.is_empty()
    {
        head.headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| data.len().into());
    }
    head
}
