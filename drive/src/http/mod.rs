//! HTTP exchanges: an [`Exchange`] polls the application and says what to respond with.
//!
//! Between an application and its server is a mailbox: one slot that both share. The
//! application's end is the [`Channel`]. The server's end is the exchange while the response has not
//! begun, and the [`ResponseBody`] while it is streamed.

#[cfg(all(test, callgate_loom))]
mod loom_tests;

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    BoxApp, Channel, HttpResponseStart, HttpScope, ReceiveEvent, SendError, SendEvent, Violation,
};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};
use http_body::Body;
use tokio::task::coop;

use crate::ResponseBody;
use crate::call::{Call, Ending, ServerEnd};
use crate::file::Opening;
use crate::report::RequestLine;
use crate::request_body::{RequestBody, RequestPart};
use crate::response_body::{Incomplete, Output, Piece, Source};
use crate::sync::{Mutex, Wakers, register, wake};
use crate::trailers::Trailers;

/// A response in the making: the application's call and its mailbox.
///
/// The common case is one call of [`poll`](Self::poll): the application runs to its end, and its
/// response is whole.
#[derive(Debug)]
pub struct Exchange<B: Content> {
    /// None once it has ended or has been left.
    call: Option<Call>,
    mailbox: Arc<Mailbox<B>>,
    is_answered: bool,
}

impl<B: Content> Exchange<B> {
    /// Calls the application, with the content of the request.
    pub fn new(app: &BoxApp, scope: Box<HttpScope>, content: B, judge: Judge<B::Error>) -> Self {
        let request = RequestLine::of_http(&scope);
        let mailbox = Arc::new(Mailbox::new(&scope, content, judge));
        let call = Call::new(app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            mailbox,
            is_answered: false,
        }
    }

    /// Polls the application, and says what to respond with once that is known. Not to be polled
    /// again after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = self.poll_response(cx);
        if let Poll::Ready(response) = &mut response {
            self.is_answered = true;
            if let Response::Begun(head, content) = response
                && content.is_to_come()
            {
                *content = ResponseBody::streamed(self.mailbox.clone(), head);
            }
        }
        response
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        if let Some(call) = &mut self.call
            && let Poll::Ready(outcome) = call.poll_outcome(cx)
        {
            let call = self.call.take().expect("it has just been polled");
            // What the application held is gone: nearly always, nobody else has the mailbox.
            if let Some(mailbox) = Arc::get_mut(&mut self.mailbox) {
                let state = mailbox.get_mut();
                call.ended(outcome, state);
                return state.poll_response(cx);
            }
            call.ended(outcome, &mut &*self.mailbox);
        }
        self.mailbox.poll_response(cx)
    }

    /// Leaves the exchange: to be done once there is a response, or when nobody waits for it any
    /// more. In the latter case the application is told that its client is gone.
    ///
    /// What is left of the call is for the caller to run to its end: [`Call::run`].
    pub fn leave(&mut self) -> Option<(Call, Arc<impl ServerEnd + use<B>>)> {
        let call = self.call.take()?;
        if !self.is_answered {
            self.mailbox.disconnect();
        }
        Some((call, self.mailbox.clone()))
    }
}

/// What the application and the server share of one HTTP exchange.
struct Mailbox<B: Content>(Mutex<State<B>>);

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
    /// The head, held until the first output is there as well: that shows how to send it.
    head: Option<HttpResponseStart>,
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
    Output(Output),
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
    /// The application's: its head, and its content, all of it or as it comes. There is none where
    /// the client wants none (HEAD) or the status says so.
    Begun(HttpResponseStart, ResponseBody),
    /// One of the server's own.
    Replacement(StatusCode),
    /// None: the client is gone.
    Gone,
}

impl<B: Content> Mailbox<B> {
    /// The mailbox of an exchange, with the content of its request.
    fn new(scope: &HttpScope, request: B, judge: Judge<B::Error>) -> Self {
        Self(Mutex::new(State {
            conversation: HttpConversation::new(scope),
            is_head_request: scope.method == Method::HEAD,
            request: RequestBody::Incoming(request),
            judge,
            head: None,
            slot: Slot::Empty,
            trailers: None,
            opening: None,
            receiver: None,
            senders: Wakers::default(),
            connection: None,
            task: None,
        }))
    }

    fn get_mut(&mut self) -> &mut State<B> {
        self.0.get_mut()
    }

    /// What to send, once the application has said enough to know; content that is to come is left
    /// out.
    fn poll_response(&self, cx: &mut Context<'_>) -> Poll<Response> {
        self.0.lock().poll_response(cx)
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
            Slot::Output(output) => {
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
        self.0.lock().is_declinable()
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

    fn end(&self, failure: Option<StatusCode>) -> Option<Violation> {
        self.0.lock().end(failure)
    }
}

impl<B: Content> Ending for State<B> {
    fn is_declinable(&self) -> bool {
        self.conversation.is_replaceable()
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
}

impl<B: Content> State<B> {
    #[inline]
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        if matches!(self.slot, Slot::Empty | Slot::Discard) {
            register(&mut self.connection, cx.waker());
            return Poll::Pending;
        }
        let slot = std::mem::replace(&mut self.slot, Slot::Empty);
        Poll::Ready(match (self.head.take(), slot) {
            (Some(head), Slot::Output(first)) => {
                self.senders.wake_all();
                self.begin(head, first)
            }
            (_, Slot::Replacement(status)) => {
                self.finish_request();
                Response::Replacement(status)
            }
            _ => Response::Gone,
        })
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
    #[inline]
    fn begin(&mut self, mut head: HttpResponseStart, first: Output) -> Response {
        if first.is_last {
            self.finish_request();
        }
        let content = if self.is_head_request || has_no_body(head.status) {
            self.slot = Slot::Discard;
            if first.is_last {
                add_length(&mut head, &first.content);
            }
            ResponseBody::empty()
        } else if first.is_last {
            if matches!(&first.content, Piece::Data(data) if data.is_empty()) {
                // hyper says so over HTTP/1 only.
                let none = HeaderValue::from_static("0");
                head.headers.entry(CONTENT_LENGTH).or_insert(none);
            }
            ResponseBody::of(first.content)
        } else {
            self.slot = Slot::Output(first);
            ResponseBody::TO_COME
        };
        Response::Begun(head, content)
    }

    /// Whether an event that carries output must wait for the one before it to be taken.
    fn is_full(&self) -> bool {
        matches!(self.slot, Slot::Output(_)) && !self.conversation.is_over()
    }

    /// Takes an event that the conversation has allowed.
    fn accept(&mut self, event: SendEvent) {
        let content = match event {
            SendEvent::HttpResponseStart(start) => {
                self.head = Some(start);
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
            Slot::Discard if is_last => self.finish_request(),
            Slot::Discard => {}
            slot => *slot = Slot::Output(Output { content, is_last }),
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
            RequestPart::Event(event) => Poll::Ready(ReceiveEvent::HttpRequestBody(event)),
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
        if let SendEvent::HttpResponsePathSend(file) = sent {
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

/// Makes the head of a whole response whose content is not sent say how long that would have been.
fn add_length(head: &mut HttpResponseStart, content: &Piece) {
    let length = match content {
        Piece::Data(data) => data.len() as u64,
        Piece::File(file) => file.remaining(),
        Piece::Trailers(_) => return,
    };
    // A length of nothing would only be true if GET had no content either, which nobody knows
    // (RFC 9110, 8.6).
    if length > 0 && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
}

/// Whether the status alone says that there is no content (RFC 9110, 6.4.1).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
