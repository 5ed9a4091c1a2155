//! The mailbox of a WebSocket: room for one message each way, shared by the application and the
//! service.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    Channel, HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, SendError, SendEvent,
    Violation, WebSocketAccept, WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;

use crate::app_service::body::{Content, Incomplete, Output, Source};
use crate::app_service::call::CallEnd;
use crate::wakers::{Wakers, register, wake};

/// What the application and the service share of one WebSocket.
#[derive(Debug)]
pub(super) struct Mailbox(Mutex<State>);

#[derive(Debug)]
struct State {
    conversation: WebSocketConversation,
    /// Whether `websocket.connect` is still to be received.
    is_connecting: bool,
    slot: Slot,
    inbound: Option<Message>,
    /// The end, to be received after what is there.
    disconnect: Option<WebSocketDisconnect>,
    outbound: Option<Message>,
    /// The last to go out.
    close: Option<WebSocketClose>,
    /// The application, waiting to receive.
    receiver: Option<Waker>,
    /// The application and its other tasks, waiting to send.
    senders: Wakers,
    /// The handshake or the session, waiting for output.
    output: Option<Waker>,
    /// The task that the application runs in, waiting for a disconnect.
    task: Option<Waker>,
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

/// What the handshake is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// A WebSocket.
    Accept(WebSocketAccept),
    /// A response that is not the application's.
    Refuse(StatusCode),
    /// A denial response that is whole.
    Deny(HttpResponseStart, Bytes),
    /// A denial response with content to come.
    DenyStreamed(HttpResponseStart),
}

/// What goes out on an open WebSocket.
#[derive(Debug)]
pub(super) enum Outbound {
    Message(Message),
    Close(WebSocketClose),
}

/// How far a WebSocket has come, as far as ending it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Unanswered,
    Open,
    Over,
}

impl Mailbox {
    pub(super) fn new(scope: &WebSocketScope) -> Self {
        Self(Mutex::new(State {
            conversation: WebSocketConversation::new(scope),
            is_connecting: true,
            slot: Slot::Empty,
            inbound: None,
            disconnect: None,
            outbound: None,
            close: None,
            receiver: None,
            senders: Wakers::default(),
            output: None,
            task: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to answer the handshake with, once the application has said enough to know.
    pub(super) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Answer(answer) => Poll::Ready(answer),
            Slot::First(head, output) => {
                state.slot = Slot::Denial(output);
                Poll::Ready(Answer::DenyStreamed(head))
            }
            unanswered => {
                state.slot = unanswered;
                register(&mut state.output, cx);
                Poll::Pending
            }
        }
    }

    /// The next thing to send on the open WebSocket.
    pub(super) fn poll_outbound(&self, cx: &mut Context<'_>) -> Poll<Outbound> {
        let mut state = self.lock();
        if let Some(message) = state.outbound.take() {
            state.senders.wake_all();
            return Poll::Ready(Outbound::Message(message));
        }
        if let Some(close) = state.close.take() {
            return Poll::Ready(Outbound::Close(close));
        }
        register(&mut state.output, cx);
        Poll::Pending
    }

    /// Whether there is room for a message from the client. The session is woken when there is.
    pub(super) fn has_room(&self) -> bool {
        self.lock().inbound.is_none()
    }

    /// Delivers a message from the client.
    pub(super) fn deliver(&self, message: Message) {
        let mut state = self.lock();
        state.inbound = Some(message);
        wake(&mut state.receiver);
    }

    /// Notes that the WebSocket is over, for this reason unless there is one already, and tells the
    /// application.
    pub(super) fn disconnect(&self, disconnect: WebSocketDisconnect) {
        let mut state = self.lock();
        state.conversation.disconnect();
        state.disconnect.get_or_insert(disconnect);
        state.outbound = None;
        state.close = None;
        state.changed();
    }
}

impl State {
    /// Has everyone look at what there is.
    fn changed(&mut self) {
        wake(&mut self.receiver);
        self.senders.wake_all();
        wake(&mut self.output);
        wake(&mut self.task);
    }

    /// Notes a close, the last thing to go out.
    fn close(&mut self, close: WebSocketClose) {
        let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
        self.disconnect.get_or_insert(disconnect);
        self.close.get_or_insert(close);
        self.changed();
    }

    fn answer(&mut self, answer: Answer) {
        self.slot = Slot::Answer(answer);
        wake(&mut self.output);
    }

    /// Whether an event must wait for those before it to be taken.
    fn is_full(&self) -> bool {
        match self.conversation.phase() {
            WebSocketPhase::Open => self.outbound.is_some(),
            WebSocketPhase::Denying(_) => matches!(self.slot, Slot::First(..) | Slot::Denial(_)),
            _ => false,
        }
    }

    /// Takes an event that the conversation has allowed.
    fn accept(&mut self, event: SendEvent, was_open: bool) {
        match event {
            SendEvent::WebSocketAccept(accept) => self.answer(Answer::Accept(accept)),
            SendEvent::WebSocketSend(message) => {
                self.outbound = Some(message);
                wake(&mut self.output);
            }
            SendEvent::WebSocketClose(close) if was_open => self.close(close),
            SendEvent::WebSocketClose(close) => {
                self.disconnect = Some(WebSocketDisconnect::new(close.code).reason(close.reason));
                self.answer(Answer::Refuse(StatusCode::FORBIDDEN));
                wake(&mut self.receiver);
            }
            SendEvent::DenialResponseStart(start) => self.slot = Slot::Held(start),
            SendEvent::DenialResponseBody(body) => self.deny(body),
            _ => {}
        }
    }

    fn deny(&mut self, part: HttpResponseBody) {
        let is_last = !part.more_body;
        if is_last {
            self.disconnect = Some(WebSocketDisconnect::new(1006));
            wake(&mut self.receiver);
        }
        self.slot = match std::mem::replace(&mut self.slot, Slot::Empty) {
            Slot::Held(head) if is_last => Slot::Answer(Answer::Deny(head, part.body)),
            before => {
                let content = Content::Data(part.body);
                let output = Output { content, is_last };
                match before {
                    Slot::Held(head) => Slot::First(head, output),
                    Slot::Discard => Slot::Discard,
                    _ => Slot::Denial(output),
                }
            }
        };
        wake(&mut self.output);
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
        self.changed();
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

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_connecting) {
            return Poll::Ready(ReceiveEvent::WebSocketConnect);
        }
        if let Some(message) = state.inbound.take() {
            wake(&mut state.output);
            return Poll::Ready(ReceiveEvent::WebSocketReceive(message));
        }
        if let Some(disconnect) = &state.disconnect {
            return Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect.clone()));
        }
        register(&mut state.receiver, cx);
        Poll::Pending
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
        let progress = state.progress();
        let sent = event.as_ref().expect("an event to send");
        if let Err(error) = state.conversation.send(sent) {
            if error.rule().is_some() {
                state.fail(StatusCode::INTERNAL_SERVER_ERROR, progress);
            }
            return Poll::Ready(Err(error));
        }
        if let Some(event) = event.take() {
            state.accept(event, progress == Progress::Open);
        }
        Poll::Ready(Ok(()))
    }
}

impl CallEnd for Mailbox {
    fn end(&self, failure: Option<StatusCode>) -> Option<Violation> {
        let mut state = self.lock();
        let progress = state.progress();
        let violation = state.conversation.returned().err();
        match failure {
            Some(status) => state.fail(status, progress),
            None if violation.is_some() => state.fail(StatusCode::INTERNAL_SERVER_ERROR, progress),
            None if progress == Progress::Open => state.close(WebSocketClose::new(1000)),
            None => state.changed(),
        }
        violation
    }

    fn is_declinable(&self) -> bool {
        self.lock().progress() == Progress::Unanswered
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

impl Source for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.slot, Slot::Empty) {
            Slot::Denial(output) => {
                state.senders.wake_all();
                Poll::Ready(Ok(output))
            }
            _ if !matches!(state.conversation.phase(), WebSocketPhase::Denying(_)) => {
                Poll::Ready(Err(Incomplete))
            }
            _ => {
                register(&mut state.output, cx);
                Poll::Pending
            }
        }
    }

    fn disconnect(&self) {
        self.disconnect(WebSocketDisconnect::new(1006));
    }

    fn taken(&self) {
        let mut state = self.lock();
        state.slot = Slot::Discard;
        state.senders.wake_all();
    }
}
