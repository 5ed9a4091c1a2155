//! The state of a mailbox: events that have not been taken, and the tasks that wait for them.

use std::task::{Context, Poll, Waker};

use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    HttpResponseBody, Message, ReceiveEvent, SendError, SendEvent, WebSocketClose,
    WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;

use super::denial::ResponseSlot;
use super::handshake::HandshakeResponse;
use super::queue::{Outbound, Queue};
use crate::sync::{Deferring, WakeList, WakerSet, register};

/// The state of a mailbox, behind its mutex.
#[derive(Debug)]
pub(super) struct State {
    pub(super) conversation: WebSocketConversation,
    /// Whether `websocket.connect` is still to be received.
    pub(super) is_connecting: bool,
    pub(super) response: ResponseSlot,
    /// Messages of the client that the application has not received.
    pub(super) inbound: Queue<Message>,
    /// The disconnect, which is received after the messages in `inbound`.
    pub(super) disconnect: Option<WebSocketDisconnect>,
    /// Messages of the application that the server has not taken.
    pub(super) outbound: Queue<Outbound>,
    /// Whether a close has been queued. Nothing is queued after it.
    is_closing: bool,
    /// The task of the application that waits for an event.
    pub(super) receiver: Option<Waker>,
    /// The tasks of the application that wait to send.
    pub(super) senders: WakerSet,
    /// The task of the handshake or the session, which waits for output or for room.
    pub(super) connection: Option<Waker>,
    /// Set while the session polls. The session looks for output before it waits, and polls the
    /// application after it has delivered a message or made room, so its task is not woken for that.
    pub(super) is_polling: bool,
    /// Whether the session takes output. If not, output does not wake the session.
    pub(super) takes_output: bool,
    /// The task of a detached call, which waits for a disconnect.
    pub(super) task: Option<Waker>,
    work: Work,
}

/// The work that is done after the unlock.
#[derive(Debug, Default)]
pub(super) struct Work {
    wakes: WakeList,
    discarded: Vec<Discarded>,
}

/// Values of the application that the client will not get.
#[derive(Debug)]
enum Discarded {
    Outbound { _queue: Queue<Outbound> },
    Response { _slot: ResponseSlot },
    Content { _part: HttpResponseBody },
}

impl Deferring for State {
    type Work = Work;

    #[inline]
    fn take_work(&mut self) -> Option<Work> {
        let is_empty = self.work.wakes.is_empty() && self.work.discarded.is_empty();
        (!is_empty).then(|| std::mem::take(&mut self.work))
    }

    fn run(work: Work) {
        drop(work.discarded);
        work.wakes.wake();
    }
}

/// How the client is informed that the application has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureSignal {
    /// By the status of the response to the handshake.
    Status,
    /// By a close frame.
    Close,
    /// Not at all: the response has started, or the WebSocket has ended.
    Nothing,
}

impl State {
    /// Creates the state of a WebSocket whose handshake has no response yet.
    pub(super) fn new(scope: &WebSocketScope) -> Self {
        Self {
            conversation: WebSocketConversation::new(scope),
            is_connecting: true,
            response: ResponseSlot::Empty,
            inbound: Queue::default(),
            disconnect: None,
            outbound: Queue::default(),
            is_closing: false,
            receiver: None,
            senders: WakerSet::default(),
            connection: None,
            is_polling: false,
            takes_output: true,
            task: None,
            work: Work::default(),
        }
    }

    pub(super) fn wake_receiver(&mut self) {
        self.work.wakes.add(&mut self.receiver);
    }

    /// Wakes the task that waits for an event, unless it is the session, which polls the application
    /// after this.
    pub(super) fn wake_other_receiver(&mut self) {
        match (&self.receiver, self.polled()) {
            (Some(receiver), Some(polled)) if receiver.will_wake(polled) => {}
            _ => self.wake_receiver(),
        }
    }

    pub(super) fn wake_senders(&mut self) {
        self.work.wakes.add_all(&mut self.senders);
    }

    pub(super) fn wake_connection(&mut self) {
        if !self.is_polling {
            self.work.wakes.add(&mut self.connection);
        }
    }

    /// Returns the waker of the session while the session polls.
    fn polled(&self) -> Option<&Waker> {
        self.connection.as_ref().filter(|_| self.is_polling)
    }

    /// Returns whether there is room for a message of the client. After the end of the WebSocket
    /// there is, because messages are dropped.
    pub(super) fn has_room(&self) -> bool {
        !self.inbound.is_full() || self.disconnect.is_some()
    }

    pub(super) fn wake_task(&mut self) {
        self.work.wakes.add(&mut self.task);
    }

    pub(super) fn set_response(&mut self, response: ResponseSlot) {
        let slot = std::mem::replace(&mut self.response, response);
        if !matches!(slot, ResponseSlot::Empty) {
            self.work
                .discarded
                .push(Discarded::Response { _slot: slot });
        }
    }

    pub(super) fn disconnect(&mut self, disconnect: WebSocketDisconnect) {
        self.conversation.disconnect();
        self.disconnect.get_or_insert(disconnect);
        if !self.outbound.is_empty() {
            let queue = std::mem::take(&mut self.outbound);
            let discarded = Discarded::Outbound { _queue: queue };
            self.work.discarded.push(discarded);
        }
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }

    pub(super) fn push_outbound(&mut self, outbound: Outbound) {
        let bytes = outbound.len();
        self.outbound.push(outbound, bytes);
        if self.takes_output {
            self.wake_connection();
        }
    }

    pub(super) fn take_outbound(&mut self) -> Option<Outbound> {
        let outbound = self.outbound.pop()?;
        self.wake_senders();
        Some(outbound)
    }

    /// Takes output within a poll of the session. Returns whether the application that the session
    /// polls has waited for the room. Other tasks that have waited are woken.
    #[cfg(feature = "websocket")]
    pub(super) fn take_outbound_in_poll(&mut self) -> Option<(Outbound, bool)> {
        let outbound = self.outbound.pop()?;
        let has_waited = match &self.connection {
            Some(polled) => self.work.wakes.add_others(&mut self.senders, polled),
            None => false,
        };
        Some((outbound, has_waited))
    }

    /// Returns the next event for the application.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        if std::mem::take(&mut self.is_connecting) {
            return Poll::Ready(ReceiveEvent::WebSocketConnect);
        }
        let was_full = self.inbound.is_full();
        if let Some(message) = self.inbound.pop() {
            if was_full && !self.inbound.is_full() {
                self.wake_connection();
            }
            return Poll::Ready(ReceiveEvent::WebSocketReceive(message));
        }
        if let Some(disconnect) = &self.disconnect {
            return Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect.clone()));
        }
        register(&mut self.receiver, cx.waker());
        Poll::Pending
    }

    /// Takes an event of the application. An event that is not allowed is left where it is, so that
    /// it is dropped after the unlock.
    pub(super) fn send(&mut self, slot: &mut Option<SendEvent>) -> Result<(), SendError> {
        let Some(event) = slot else { return Ok(()) };
        let signal = self.failure_signal();
        if let Err(error) = self.conversation.send(event) {
            if error.rule().is_some() {
                self.fail(StatusCode::INTERNAL_SERVER_ERROR, signal);
            }
            return Err(error);
        }
        if let Some(event) = slot.take() {
            self.accept(event, signal == FailureSignal::Close);
        }
        Ok(())
    }

    /// Queues a close, which is the last frame of the application.
    pub(super) fn close(&mut self, close: WebSocketClose) {
        let WebSocketClose { code, reason, .. } = &close;
        self.disconnect
            .get_or_insert_with(|| WebSocketDisconnect::new(*code).reason(reason.clone()));
        if !std::mem::replace(&mut self.is_closing, true) {
            self.push_outbound(Outbound::Close(close));
        }
        self.wake_receiver();
        self.wake_senders();
        self.wake_connection();
    }

    /// Responds to the handshake.
    pub(super) fn respond(&mut self, response: HandshakeResponse) {
        self.set_response(ResponseSlot::Response(response));
        self.wake_connection();
    }

    /// Takes an event that the conversation allows.
    fn accept(&mut self, event: SendEvent, was_open: bool) {
        match event {
            SendEvent::WebSocketAccept(accept) => self.respond(HandshakeResponse::Accept(accept)),
            SendEvent::WebSocketSend(message) => self.push_outbound(Outbound::Message(message)),
            SendEvent::WebSocketClose(close) if was_open => self.close(close),
            SendEvent::WebSocketClose(close) => {
                let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason);
                self.disconnect = Some(disconnect);
                self.respond(HandshakeResponse::Refuse(StatusCode::FORBIDDEN));
            }
            SendEvent::DenialResponseStart(start) => {
                self.response = ResponseSlot::DenialHead(start);
            }
            SendEvent::DenialResponseBody(part) => {
                if !part.more_body {
                    self.disconnect = Some(WebSocketDisconnect::new(1006));
                    self.wake_receiver();
                }
                if self.response.is_discarding() {
                    let discarded = Discarded::Content { _part: part };
                    self.work.discarded.push(discarded);
                    return;
                }
                let response = std::mem::take(&mut self.response);
                self.response = response.with_content(part);
                self.wake_connection();
            }
            _ => {}
        }
    }

    /// Ends the exchange of a failed application: with `status` if the handshake has no response
    /// yet.
    pub(super) fn fail(&mut self, status: StatusCode, signal: FailureSignal) {
        match signal {
            FailureSignal::Status => self.respond(HandshakeResponse::Refuse(status)),
            FailureSignal::Close => self.close(WebSocketClose::new(1011)),
            FailureSignal::Nothing => {}
        }
        let disconnect = WebSocketDisconnect::new(1011);
        self.disconnect.get_or_insert(disconnect);
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }

    /// Returns whether an event must wait until the server has taken those before it.
    pub(super) fn is_full(&self) -> bool {
        match self.conversation.phase() {
            WebSocketPhase::Open => self.outbound.is_full(),
            WebSocketPhase::Denying(_) => self.response.is_full(),
            _ => false,
        }
    }

    pub(super) fn failure_signal(&self) -> FailureSignal {
        match self.conversation.phase() {
            WebSocketPhase::Connecting => FailureSignal::Status,
            WebSocketPhase::Denying(response) if response.is_replaceable() => FailureSignal::Status,
            WebSocketPhase::Open => FailureSignal::Close,
            _ => FailureSignal::Nothing,
        }
    }

    pub(super) fn is_denying(&self) -> bool {
        matches!(self.conversation.phase(), WebSocketPhase::Denying(_))
    }
}
