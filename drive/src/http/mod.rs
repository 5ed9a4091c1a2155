//! The mailbox of an HTTP exchange: one slot, shared by the application and the server.
//!
//! The application's end is the [`Channel`]. The server's end is [`Mailbox::poll_response`] while
//! the response has not begun, and the [`ResponseBody`] while it is streamed.

#[cfg(all(test, callgate_loom))]
mod loom_tests;

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    Channel, HttpResponseStart, HttpScope, ReceiveEvent, SendError, SendEvent, Violation,
};
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::Body;
use tokio::task::coop;

use crate::ResponseBody;
use crate::call::ServerEnd;
use crate::file::Opening;
use crate::request_body::{RequestBody, RequestPart};
use crate::response_body::{Incomplete, Output, Piece, Source};
use crate::sync::{Mutex, Wakers, register, wake};
use crate::trailers::Trailers;

/// What the application and the server share of one HTTP exchange.
pub struct Mailbox<B: Content>(Mutex<State<B>>);

/// The content of a request: any [`Body`] of [`Bytes`].
pub trait Content: Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Content for B {}

/// Which status answers for content that could not be read, by the error that it came with. None
/// when the client is gone.
pub type Judge<E> = fn(&E) -> Option<StatusCode>;

struct State<B: Content> {
    conversation: HttpConversation,
    is_head_request: bool,
    request: RequestBody<B>,
    judge: Judge<B::Error>,
    slot: Slot,
    /// Trailer fields that others follow: all of them go out at once.
    trailers: Option<Box<Trailers>>,
    /// The file of a path send while it is being opened.
    opening: Option<Opening>,
    /// The application, waiting to receive.
    receiver: Option<Waker>,
    /// The application and its other tasks, waiting to send.
    senders: Wakers,
    /// The connection, waiting for output.
    connection: Option<Waker>,
    /// The task that the application runs in, waiting for a disconnect.
    task: Option<Waker>,
}

/// What waits for the server to take it.
#[derive(Debug)]
enum Slot {
    Empty,
    /// The head, held until the first output is there as well: that shows how to send it.
    Head(HttpResponseStart, Option<Output>),
    /// Further output.
    Next(Output),
    /// A response of the server's own in place of the application's.
    Replacement(StatusCode),
    /// The client was gone before the response began.
    Gone,
    /// Nobody takes anything: the client gets no content (HEAD, 204, 304), or has got all of it.
    Discard,
}

/// What the server sends once the application has said enough.
#[derive(Debug)]
pub enum Response {
    /// The whole response.
    Whole(HttpResponseStart, ResponseBody),
    /// The head, and content to come: [`Mailbox::streamed`].
    Streamed(HttpResponseStart),
    /// The head alone: whatever content comes is discarded.
    HeadOnly(HttpResponseStart),
    /// A response of the server's own.
    Replacement(StatusCode),
    /// None: the client is gone.
    Gone,
}

impl Slot {
    /// Whether it is known what to send.
    fn has_response(&self) -> bool {
        matches!(
            self,
            Self::Head(_, Some(_)) | Self::Replacement(_) | Self::Gone
        )
    }
}

impl<B: Content> Mailbox<B> {
    /// The mailbox of an exchange, with the content of its request.
    pub fn new(scope: &HttpScope, request: B, judge: Judge<B::Error>) -> Self {
        Self(Mutex::new(State {
            conversation: HttpConversation::new(scope),
            is_head_request: scope.method == Method::HEAD,
            request: RequestBody::Incoming(request),
            judge,
            slot: Slot::Empty,
            trailers: None,
            opening: None,
            receiver: None,
            senders: Wakers::default(),
            connection: None,
            task: None,
        }))
    }

    /// What to send, once the application has said enough to know.
    pub fn poll_response(self: &mut Arc<Self>, cx: &mut Context<'_>) -> Poll<Response> {
        self.with(|state| state.poll_response(cx))
    }

    /// The content of a response of this head, as the application sends it.
    #[must_use]
    pub fn streamed(self: &Arc<Self>, head: &HttpResponseStart) -> ResponseBody {
        ResponseBody::streamed(self.clone(), head)
    }

    /// Works on the state. When nobody else has the mailbox any more, that takes no lock.
    fn with<R>(self: &mut Arc<Self>, work: impl FnOnce(&mut State<B>) -> R) -> R {
        let mut locked;
        let state = match Arc::get_mut(self) {
            Some(Self(state)) => state.get_mut(),
            None => {
                locked = self.0.lock();
                &mut *locked
            }
        };
        work(state)
    }
}

impl<B: Content> std::fmt::Debug for Mailbox<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl<B: Content> Source for Mailbox<B> {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Next(output) => {
                state.senders.wake_all();
                if output.is_last {
                    state.finish_request();
                }
                Poll::Ready(Ok(output))
            }
            unchanged => {
                state.slot = unchanged;
                if state.conversation.is_over() {
                    return Poll::Ready(Err(Incomplete));
                }
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    fn taken(&self) {
        let mut state = self.0.lock();
        state.slot = Slot::Discard;
        state.senders.wake_all();
        wake(&mut state.task);
        if state.conversation.is_over() {
            state.finish_request();
        }
    }
}

impl<B: Content> ServerEnd for Mailbox<B> {
    fn disconnect(&self) {
        self.0.lock().disconnect();
    }

    fn is_declinable(&self) -> bool {
        self.0.lock().conversation.is_replaceable()
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_unheard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if matches!(state.slot, Slot::Discard) && !state.conversation.is_over() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn end(self: &mut Arc<Self>, failure: Option<StatusCode>) -> Option<Violation> {
        self.with(|state| state.end(failure))
    }
}

impl<B: Content> State<B> {
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        if !self.slot.has_response() {
            register(&mut self.connection, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(&mut self.slot, Slot::Empty) {
            Slot::Head(head, Some(first)) => {
                self.senders.wake_all();
                self.begin(head, first)
            }
            Slot::Replacement(status) => {
                self.finish_request();
                Response::Replacement(status)
            }
            _ => Response::Gone,
        })
    }

    fn end(&mut self, failure: Option<StatusCode>) -> Option<Violation> {
        let is_replaceable = self.conversation.is_replaceable();
        let is_broken = matches!(self.conversation.phase(), HttpPhase::Broken(_));
        let violation = self.conversation.returned().err();
        let status = match failure {
            None if violation.is_some() => Some(StatusCode::INTERNAL_SERVER_ERROR),
            failure => failure,
        };
        if let Some(status) = status
            && is_replaceable
        {
            self.slot = Slot::Replacement(status);
        }
        wake(&mut self.connection);
        self.senders.wake_all();
        violation.filter(|_| failure.is_none() || is_broken)
    }

    fn disconnect(&mut self) {
        if self.conversation.is_replaceable() {
            self.slot = Slot::Gone;
        }
        self.conversation.disconnect();
        self.finish_request();
        self.senders.wake_all();
        wake(&mut self.task);
        wake(&mut self.connection);
    }

    /// Lets go of the rest of the request, so that the connection does not wait for it, and tells an
    /// application that still receives.
    fn finish_request(&mut self) {
        self.request = RequestBody::Finished;
        wake(&mut self.receiver);
    }

    /// Begins the response, now that its head and the first of its content are known.
    fn begin(&mut self, head: HttpResponseStart, first: Output) -> Response {
        if first.is_last {
            self.finish_request();
        }
        if self.is_head_request || has_no_body(head.status) {
            self.slot = Slot::Discard;
            Response::HeadOnly(if first.is_last {
                with_length(head, &first.content)
            } else {
                head
            })
        } else if first.is_last {
            Response::Whole(head, ResponseBody::of(first.content))
        } else {
            self.slot = Slot::Next(first);
            Response::Streamed(head)
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
            SendEvent::HttpResponseBody(body) => Piece::Data(body.body),
            SendEvent::HttpResponseTrailers(trailers) => {
                let mut all = self.trailers.take().unwrap_or_default();
                all.append(trailers.headers);
                if trailers.more_trailers {
                    self.trailers = Some(all);
                    return;
                }
                let fields = all.into_fields();
                if fields.is_empty() {
                    // There turned out to be none: the response ends as one without.
                    Piece::Data(Bytes::new())
                } else {
                    Piece::Trailers(Box::new(fields))
                }
            }
            _ => return,
        };
        self.output(content);
    }

    fn output(&mut self, content: Piece) {
        let is_last = matches!(self.conversation.phase(), HttpPhase::Ended);
        match &mut self.slot {
            Slot::Head(_, first @ None) => *first = Some(Output { content, is_last }),
            Slot::Discard if is_last => self.finish_request(),
            Slot::Discard => {}
            slot => *slot = Slot::Next(Output { content, is_last }),
        }
        wake(&mut self.connection);
    }

    /// Notes that a send broke a rule: 500 if nothing has been sent, else the response is cut.
    fn broken(&mut self, was_replaceable: bool) {
        if was_replaceable {
            self.slot = Slot::Replacement(StatusCode::INTERNAL_SERVER_ERROR);
        }
        self.finish_request();
        self.senders.wake_all();
        wake(&mut self.task);
        wake(&mut self.connection);
    }
}

impl<B: Content> Channel for Mailbox<B> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.0.lock();
        if state.conversation.is_over() && matches!(state.request, RequestBody::Finished) {
            return Poll::Ready(ReceiveEvent::HttpDisconnect);
        }
        register(&mut state.receiver, cx.waker());
        match ready!(state.request.poll_next(cx)) {
            RequestPart::Event(event) => Poll::Ready(ReceiveEvent::HttpRequest(event)),
            RequestPart::Failed(error) => {
                let status = (state.judge)(&error).filter(|_| state.conversation.is_replaceable());
                state.disconnect();
                if let Some(status) = status {
                    state.slot = Slot::Replacement(status);
                }
                Poll::Ready(ReceiveEvent::HttpDisconnect)
            }
            RequestPart::None => {
                state.disconnect();
                Poll::Ready(ReceiveEvent::HttpDisconnect)
            }
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut state = self.0.lock();
        if state.is_full() {
            state.senders.register(cx.waker());
            return Poll::Pending;
        }
        if matches!(state.slot, Slot::Discard) {
            // Nobody takes it, so nobody makes the application wait: its thread has other work, too.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let sent = event.as_ref().expect("an event to send");
        if let SendEvent::HttpResponseTrailers(trailers) = sent
            && matches!(state.conversation.phase(), HttpPhase::Trailers(_))
        {
            let all = state.trailers.get_or_insert_default();
            if let Err(error) = all.check(&trailers.headers) {
                return Poll::Ready(Err(error));
            }
        }
        let was_replaceable = state.conversation.is_replaceable();
        if let Err(error) = state.conversation.send(sent) {
            if error.rule().is_some() {
                state.broken(was_replaceable);
            }
            return Poll::Ready(Err(error));
        }
        if let SendEvent::HttpPathSend(file) = sent {
            let opening = match &mut state.opening {
                Some(opening) if opening.path() == file.path => opening,
                other => other.insert(Opening::new(&file.path)),
            };
            let opened = ready!(opening.poll(cx));
            state.opening = None;
            let body = match opened {
                Ok(body) => body,
                Err(error) => return Poll::Ready(Err(error)),
            };
            if let Err(error) = state.conversation.file(body.remaining()) {
                state.broken(true);
                return Poll::Ready(Err(error));
            }
            *event = None;
            state.output(Piece::File(Box::new(body)));
        } else if let Some(event) = event.take() {
            state.accept(event);
        }
        Poll::Ready(Ok(()))
    }
}

/// The head of a whole response whose content is not sent: it says how long that would have been.
fn with_length(mut head: HttpResponseStart, content: &Piece) -> HttpResponseStart {
    let length = match content {
        Piece::Data(data) => data.len() as u64,
        Piece::File(file) => file.remaining(),
        Piece::Trailers(_) => return head,
    };
    // A length of nothing would only be true if GET had no content either, which nobody knows
    // (RFC 9110, 8.6).
    if length > 0 && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    head
}

/// Whether the status alone says that there is no content (RFC 9110, 6.4.1).
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
