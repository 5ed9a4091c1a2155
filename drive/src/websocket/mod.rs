//! WebSockets: a [`Handshake`] polls the application and says what to answer with; the [`Mailbox`]
//! then carries the messages, in bounded queues both ways.

mod handshake;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    Channel, HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, SendError, SendEvent,
    SendProgress, WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;
use tokio::task::coop;

use crate::ResponseBody;
use crate::call::{CallResult, EndReport, ServerEnd};
use crate::head::has_no_content;
use crate::output::{Incomplete, Output, OutputSource, Piece};
use crate::sync::{Deferring, Mutex, WakeList, WakerSet, register};

pub use handshake::{Answer, Handshake, accepted};

/// How many messages are held in each direction at most.
const MAX_MESSAGES: usize = 64;
/// How many bytes of messages are held in each direction before more are refused. A single message
/// may be larger.
const MAX_BYTES: usize = 64 * 1024;

/// What the application and the server share of one WebSocket.
#[derive(Debug)]
pub struct Mailbox(Mutex<State>);

#[derive(Debug)]
struct State {
    conversation: WebSocketConversation,
    /// Whether `websocket.connect` is still to be received.
    is_connecting: bool,
    slot: Slot,
    inbound: Queue<Message>,
    /// The end, to be received after what is queued.
    disconnect: Option<WebSocketDisconnect>,
    outbound: Queue<Outbound>,
    /// Whether a close has been queued, after which nothing is.
    is_closing: bool,
    /// The application, waiting to receive.
    receiver: Option<Waker>,
    /// The application and its other tasks, waiting to send.
    senders: WakerSet,
    /// The handshake or the session, waiting for output.
    connection: Option<Waker>,
    /// The task that the application runs in, waiting for a disconnect.
    task: Option<Waker>,
    wakes: WakeList,
}

impl Deferring for State {
    type Work = WakeList;

    fn take_work(&mut self) -> Option<WakeList> {
        (!self.wakes.is_empty()).then(|| std::mem::take(&mut self.wakes))
    }

    fn run(work: WakeList) {
        work.wake();
    }
}

/// What waits for the handshake, or for the denial response that it became.
#[derive(Debug)]
enum Slot {
    Empty,
    /// The head of a denial response, held until its first body event.
    Held(HttpResponseStart),
    Answer(Answer),
    /// The head of a denial response and the first of its content, when more is to come.
    First(HttpResponseStart, Output),
    /// Further content of a denial response.
    Denial(Output),
    /// The client has got all of a denial response: what else comes of it is not sent.
    Discard,
}

/// What goes out on an open WebSocket.
#[derive(Debug)]
pub enum Outbound {
    /// A message.
    Message(Message),
    /// A close, which is the last.
    Close(WebSocketClose),
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Queue<T> {
    fn is_full(&self) -> bool {
        self.items.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }

    fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back((item, bytes));
    }

    fn pop(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes -= bytes;
        if self.items.is_empty() {
            // An idle WebSocket holds on to nothing.
            self.items = VecDeque::new();
        }
        Some(item)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Mailbox {
    /// The mailbox of a WebSocket that has not been answered.
    fn new(scope: &WebSocketScope) -> Self {
        Self(Mutex::new(State {
            conversation: WebSocketConversation::new(scope),
            is_connecting: true,
            slot: Slot::Empty,
            inbound: Queue::default(),
            disconnect: None,
            outbound: Queue::default(),
            is_closing: false,
            receiver: None,
            senders: WakerSet::default(),
            connection: None,
            task: None,
            wakes: WakeList::default(),
        }))
    }

    /// What to answer the handshake with, once the application has said enough to know.
    fn poll_answer(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let state = &mut *self.0.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Answer(answer) => Poll::Ready(answer),
            Slot::First(head, _) if has_no_content(head.status) => {
                state.slot = Slot::Discard;
                state.wakes.add_all(&mut state.senders);
                Poll::Ready(Answer::Deny(head, ResponseBody::empty()))
            }
            Slot::First(head, output) => {
                state.slot = Slot::Denial(output);
                let body = ResponseBody::streamed(self.clone(), &head);
                Poll::Ready(Answer::Deny(head, body))
            }
            unanswered => {
                state.slot = unanswered;
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// The next thing to send on the open WebSocket.
    pub fn poll_outbound(&self, cx: &mut Context<'_>) -> Poll<Outbound> {
        let state = &mut *self.0.lock();
        match state.outbound.pop() {
            Some(outbound) => {
                state.wakes.add_all(&mut state.senders);
                Poll::Ready(outbound)
            }
            None => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Whether there is room for a message from the client. The session is woken when there is.
    pub fn has_room(&self) -> bool {
        !self.0.lock().inbound.is_full()
    }

    /// Delivers a message from the client. It is dropped when the application may have been told
    /// already that the WebSocket is over, as nothing comes after that.
    pub fn deliver(&self, message: Message) {
        let state = &mut *self.0.lock();
        if state.disconnect.is_some() {
            return;
        }
        let bytes = message.len();
        state.inbound.push(message, bytes);
        state.wakes.add(&mut state.receiver);
    }

    /// Refuses a handshake that the application has not answered, as the server shuts down (rule
    /// `WS-34`). A denial that it has begun goes on.
    fn refuse_at_shutdown(&self) {
        let state = &mut *self.0.lock();
        if matches!(state.conversation.phase(), WebSocketPhase::Connecting) {
            state.disconnect(WebSocketDisconnect::new(1012));
            state.answer(Answer::Refuse(StatusCode::SERVICE_UNAVAILABLE));
        }
    }

    /// Notes that the WebSocket is over, for this reason unless there is one already, and tells the
    /// application.
    pub fn over(&self, disconnect: WebSocketDisconnect) {
        self.0.lock().disconnect(disconnect);
    }
}

impl State {
    fn disconnect(&mut self, disconnect: WebSocketDisconnect) {
        self.conversation.disconnect();
        self.disconnect.get_or_insert(disconnect);
        self.outbound.clear();
        self.wake_application();
        self.wakes.add(&mut self.task);
        self.wakes.add(&mut self.connection);
    }

    fn wake_application(&mut self) {
        self.wakes.add(&mut self.receiver);
        self.wakes.add_all(&mut self.senders);
    }

    /// Queues a close, the last thing to go out.
    fn close(&mut self, close: WebSocketClose) {
        let WebSocketClose { code, reason, .. } = &close;
        self.disconnect
            .get_or_insert_with(|| WebSocketDisconnect::new(*code).reason(reason.clone()));
        if !self.is_closing {
            self.is_closing = true;
            let bytes = close.reason.len();
            self.outbound.push(Outbound::Close(close), bytes);
        }
        self.wake_application();
        self.wakes.add(&mut self.connection);
    }

    fn answer(&mut self, answer: Answer) {
        self.slot = Slot::Answer(answer);
        self.wakes.add(&mut self.connection);
    }

    /// Whether an event must wait for those before it to be taken.
    fn is_full(&self) -> bool {
        match self.conversation.phase() {
            WebSocketPhase::Open => self.outbound.is_full(),
            WebSocketPhase::Denying(_) => {
                matches!(self.slot, Slot::First(..) | Slot::Denial(_))
            }
            _ => false,
        }
    }

    /// Takes an event that the conversation has allowed.
    fn accept(&mut self, event: SendEvent, was_open: bool) {
        match event {
            SendEvent::WebSocketAccept(accept) => self.answer(Answer::Accept(accept)),
            SendEvent::WebSocketSend(message) => {
                let bytes = message.len();
                self.outbound.push(Outbound::Message(message), bytes);
                self.wakes.add(&mut self.connection);
            }
            SendEvent::WebSocketClose(close) if was_open => self.close(close),
            SendEvent::WebSocketClose(close) => {
                self.disconnect = Some(WebSocketDisconnect::new(close.code).reason(close.reason));
                self.answer(Answer::Refuse(StatusCode::FORBIDDEN));
            }
            SendEvent::DenialResponseStart(start) => self.slot = Slot::Held(start),
            SendEvent::DenialResponseBody(body) => self.deny(body),
            _ => {}
        }
    }

    fn deny(&mut self, part: HttpResponseBody) {
        let HttpResponseBody {
            body, more_body, ..
        } = part;
        if !more_body {
            self.disconnect = Some(WebSocketDisconnect::new(1006));
            self.wakes.add(&mut self.receiver);
        }
        let content = Piece::Data(body);
        let is_last = !more_body;
        self.slot = match (std::mem::replace(&mut self.slot, Slot::Empty), content) {
            (Slot::Held(head), Piece::Data(body)) if is_last => {
                Slot::Answer(Answer::Deny(head, body.into()))
            }
            (Slot::Held(head), content) => Slot::First(head, Output { content, is_last }),
            (Slot::Discard, _) => Slot::Discard,
            (_, content) => Slot::Denial(Output { content, is_last }),
        };
        self.wakes.add(&mut self.connection);
    }

    /// Ends what the application has begun, as it failed: with this answer to the handshake, or
    /// with a close.
    fn fail(&mut self, status: StatusCode, progress: Progress) {
        match progress {
            Progress::Unanswered => self.answer(Answer::Refuse(status)),
            Progress::Open => self.close(WebSocketClose::new(1011)),
            Progress::Over => {}
        }
        self.disconnect
            .get_or_insert(WebSocketDisconnect::new(1011));
        self.wake_application();
        self.wakes.add(&mut self.task);
        self.wakes.add(&mut self.connection);
    }

    fn progress(&self) -> Progress {
        match self.conversation.phase() {
            WebSocketPhase::Connecting => Progress::Unanswered,
            WebSocketPhase::Denying(response) if response.is_replaceable() => Progress::Unanswered,
            WebSocketPhase::Open => Progress::Open,
            _ => Progress::Over,
        }
    }
}

/// How far a WebSocket has come, as far as ending it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Unanswered,
    Open,
    Over,
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let state = &mut *self.0.lock();
        if std::mem::take(&mut state.is_connecting) {
            return Poll::Ready(ReceiveEvent::WebSocketConnect);
        }
        let was_full = state.inbound.is_full();
        if let Some(message) = state.inbound.pop() {
            if was_full {
                state.wakes.add(&mut state.connection);
            }
            return Poll::Ready(ReceiveEvent::WebSocketReceive(message));
        }
        if let Some(disconnect) = &state.disconnect {
            return Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect.clone()));
        }
        register(&mut state.receiver, cx.waker());
        Poll::Pending
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.0.lock();
        if state.is_full() {
            state.senders.register(cx.waker());
            return Poll::Pending;
        }
        if matches!(state.slot, Slot::Discard) {
            // Discarding is always ready: the budget lets the other tasks of the thread run.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let state = &mut *self.0.lock();
        let progress = state.progress();
        if let Err(error) = state.conversation.send(&event) {
            if error.rule().is_some() {
                state.fail(StatusCode::INTERNAL_SERVER_ERROR, progress);
            }
            return Err(error);
        }
        state.accept(event, progress == Progress::Open);
        Ok(SendProgress::Sent)
    }
}

impl ServerEnd for Mailbox {
    fn disconnect(&self) {
        self.over(WebSocketDisconnect::new(1006));
    }

    fn end(&self, result: &CallResult) -> EndReport {
        let state = &mut *self.0.lock();
        let progress = state.progress();
        let is_declinable = progress == Progress::Unanswered;
        let failure = result.failure(is_declinable);
        let is_broken = matches!(state.conversation.phase(), WebSocketPhase::Broken(_));
        let violation = state.conversation.returned().err();
        match failure {
            Some(status) => state.fail(status, progress),
            None if violation.is_some() => state.fail(StatusCode::INTERNAL_SERVER_ERROR, progress),
            None if progress == Progress::Open => state.close(WebSocketClose::new(1000)),
            None => state.wake_application(),
        }
        EndReport {
            is_declinable,
            violation: violation.filter(|_| failure.is_none() || is_broken),
        }
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.0.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_discarding(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.0.lock();
        let is_denying = matches!(state.conversation.phase(), WebSocketPhase::Denying(_));
        if is_denying && matches!(state.slot, Slot::Discard) {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }
}

impl OutputSource for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let state = &mut *self.0.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Denial(output) => {
                state.wakes.add_all(&mut state.senders);
                Poll::Ready(Ok(output))
            }
            _ if !matches!(state.conversation.phase(), WebSocketPhase::Denying(_)) => {
                Poll::Ready(Err(Incomplete))
            }
            _ => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    fn content_complete(&self) {
        let state = &mut *self.0.lock();
        state.slot = Slot::Discard;
        state.wakes.add_all(&mut state.senders);
        state.wakes.add(&mut state.task);
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_received_after_the_disconnect() {
        let mailbox = Mailbox::new(&WebSocketScope::new(http::Uri::default()));
        let mut cx = Context::from_waker(Waker::noop());
        let disconnect = WebSocketDisconnect::new(1000);
        let disconnect = Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect));
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        mailbox.0.lock().close(WebSocketClose::new(1000));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
        // The client sent this before it had the close.
        mailbox.deliver(Message::Text("late".into()));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
    }
}
