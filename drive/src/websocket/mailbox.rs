//! The mailbox of one WebSocket, which the application and the server share.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::conversation::WebSocketPhase;
use callgate::{
    Channel, Message, ReceiveEvent, SendError, SendEvent, SendProgress, WebSocketClose,
    WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;
use tokio::task::coop;

use super::denial::ResponseSlot;
use super::handshake::HandshakeResponse;
use super::queue::Outbound;
use super::state::{FailureSignal, State};
use crate::call::{CallResult, EndReport, ServerEnd};
use crate::output::{Incomplete, Output, OutputSource};
use crate::sync::{Mutex, register};

/// The events between an application and its server.
///
/// The application uses the mailbox as the [`Channel`] of its receiver and sender. The server uses
/// it through a [`Handshake`](super::Handshake) first, and then for the messages of the open
/// WebSocket.
#[derive(Debug)]
pub struct Mailbox(Mutex<State>);

impl Mailbox {
    /// Creates the mailbox of a WebSocket whose handshake has no response yet.
    pub(super) fn new(scope: &WebSocketScope) -> Self {
        Self(Mutex::new(State::new(scope)))
    }

    /// Sets the number of messages at which the queue of each direction is full.
    pub(super) fn set_queue_capacity(&self, messages: usize) {
        let mut state = self.0.lock();
        state.inbound.set_capacity(messages);
        state.outbound.set_capacity(messages);
    }

    /// Returns the response to the handshake, once the application has sent enough to know it.
    pub(super) fn poll_response(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<HandshakeResponse> {
        let mut state = self.0.lock();
        match state.response.take_response(self) {
            Some(response) => {
                state.wake_senders();
                Poll::Ready(response)
            }
            None => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Returns the next message or close to send on the open WebSocket.
    pub fn poll_outbound(&self, cx: &mut Context<'_>) -> Poll<Outbound> {
        self.0.with(|state| match state.take_outbound() {
            Some(outbound) => Poll::Ready(outbound),
            None => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        })
    }

    /// Returns ready while there is room for a message of the client. Otherwise the task is woken
    /// when the application has made room, or the WebSocket has ended.
    ///
    /// A server stops reading from the client while there is no room (rule `WS-25`).
    pub fn poll_has_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.with(|state| {
            if state.has_room() {
                return Poll::Ready(());
            }
            register(&mut state.connection, cx.waker());
            Poll::Pending
        })
    }

    /// Delivers a message of the client, even if there is no room. The message is dropped after the
    /// end of the WebSocket, because no event follows a disconnect. Returns whether there is room for
    /// a further message.
    pub fn deliver(&self, message: Message) -> bool {
        // A message that is not delivered is dropped after the unlock.
        let mut message = Some(message);
        self.0.with(|state| {
            if state.disconnect.is_none()
                && let Some(message) = message.take()
            {
                let bytes = message.len();
                state.inbound.push(message, bytes);
                state.wake_other_receiver();
            }
            state.has_room()
        })
    }

    /// Begins a poll of the session. Until [`Self::end_poll`], the session's task is not woken for
    /// output, for a message that is delivered, and for room: the session looks for output, and polls
    /// the application after [`Self::deliver`], and after [`Self::take_outbound`] if the application has
    /// waited for room.
    #[cfg(feature = "websocket")]
    pub(super) fn begin_poll(&self, cx: &mut Context<'_>) {
        self.0.with(|state| {
            register(&mut state.connection, cx.waker());
            state.is_polling = true;
        });
    }

    /// Ends a poll of the session. Returns whether the poll has ended: it has not if there is already
    /// something of what the session waits for. After the end, the session's task is woken for it.
    #[cfg(feature = "websocket")]
    pub(super) fn end_poll(&self, waits_for: Waiting) -> bool {
        self.0.with(|state| {
            let Waiting { output, room } = waits_for;
            let is_ready = output && !state.outbound.is_empty() || room && state.has_room();
            state.takes_output = output;
            state.is_polling = is_ready;
            !is_ready
        })
    }

    /// Takes the next message or close to send on the open WebSocket, within a poll of the session.
    #[cfg(feature = "websocket")]
    pub(super) fn take_outbound(&self) -> Option<Taken> {
        self.0.with(|state| {
            let (outbound, has_made_room) = state.take_outbound_in_poll()?;
            Some(Taken {
                outbound,
                is_last: state.outbound.is_empty(),
                has_made_room,
            })
        })
    }

    /// Ends the last poll of the session. The session's task is not woken any more.
    #[cfg(feature = "websocket")]
    pub(super) fn end_session(&self) {
        let waker = self.0.with(|state| {
            state.is_polling = false;
            state.takes_output = false;
            state.connection.take()
        });
        // Dropped after the unlock, as the task behind it may have a destructor.
        drop(waker);
    }

    /// Returns whether there is room for a message of the client.
    #[cfg(feature = "websocket")]
    pub(super) fn has_room(&self) -> bool {
        self.0.with(|state| state.has_room())
    }

    /// Returns the number of messages that the application has not received.
    #[cfg(feature = "websocket")]
    pub(super) fn inbound_len(&self) -> usize {
        self.0.with(|state| state.inbound.len())
    }

    /// Returns the octets of the messages in both queues.
    #[cfg(feature = "websocket")]
    pub(super) fn buffered(&self) -> usize {
        self.0
            .with(|state| state.inbound.bytes() + state.outbound.bytes())
    }

    /// Refuses a handshake at the shutdown of the server, if the application has not responded
    /// (rule `WS-34`). A denial response that has started goes on.
    pub(super) fn refuse_at_shutdown(&self) {
        self.refuse(1012, StatusCode::SERVICE_UNAVAILABLE);
    }

    /// Refuses the handshake with 504, because the application has not responded in time.
    pub(super) fn time_out(&self) {
        self.refuse(1006, StatusCode::GATEWAY_TIMEOUT);
    }

    fn refuse(&self, code: u16, status: StatusCode) {
        let mut state = self.0.lock();
        if matches!(state.conversation.phase(), WebSocketPhase::Connecting) {
            state.disconnect(WebSocketDisconnect::new(code));
            state.respond(HandshakeResponse::Refuse(status));
        }
    }

    /// Ends the WebSocket with this code and reason, unless it has ended. The application receives
    /// the disconnect after the messages that it has not received.
    pub fn disconnect_with(&self, disconnect: WebSocketDisconnect) {
        self.0.lock().disconnect(disconnect);
    }
}

/// A message or a close that a session has taken.
#[cfg(feature = "websocket")]
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) outbound: Outbound,
    /// Whether nothing is left to take.
    pub(super) is_last: bool,
    /// Whether the application that the session polls has waited for room to send.
    pub(super) has_made_room: bool,
}

/// What a session waits for when a poll ends, besides its connection.
#[cfg(feature = "websocket")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// A message or a close of the application.
    pub(super) output: bool,
    /// Room for a message of the client.
    pub(super) room: bool,
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.0.with(|state| state.poll_receive(cx))
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_discarding = self.0.with(|state| {
            if state.is_full() {
                state.senders.register(cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(state.response.is_discarding())
        });
        if ready!(is_discarding) {
            // A mailbox that discards is always ready. The budget lets the other tasks of the
            // thread run. The runtime may call the waker here, so the lock is released.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let mut event = Some(event);
        self.0.with(|state| state.send(&mut event))?;
        Ok(SendProgress::Sent)
    }
}

impl ServerEnd for Mailbox {
    fn disconnect(&self) {
        self.disconnect_with(WebSocketDisconnect::new(1006));
    }

    fn end(&self, result: &CallResult) -> EndReport {
        let mut state = self.0.lock();
        let signal = state.failure_signal();
        let is_declinable = signal == FailureSignal::Status;
        let failure = result.failure(is_declinable);
        let is_broken = matches!(state.conversation.phase(), WebSocketPhase::Broken(_));
        let violation = state.conversation.returned().err();
        let own_status = violation
            .is_some()
            .then_some(StatusCode::INTERNAL_SERVER_ERROR);
        match failure.or(own_status) {
            Some(status) => state.fail(status, signal),
            None if signal == FailureSignal::Close => state.close(WebSocketClose::new(1000)),
            None => {
                state.wake_receiver();
                state.wake_senders();
            }
        }
        EndReport {
            is_declinable,
            violation: violation.filter(|_| failure.is_none() || is_broken),
        }
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_discarding(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_denying() && state.response.is_discarding() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }
}

impl OutputSource for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut state = self.0.lock();
        if let Some(output) = state.response.take_content() {
            if !state.response.is_full() {
                state.wake_senders();
            }
            return Poll::Ready(Ok(output));
        }
        if !state.is_denying() {
            return Poll::Ready(Err(Incomplete));
        }
        register(&mut state.connection, cx.waker());
        Poll::Pending
    }

    fn content_complete(&self) {
        let mut state = self.0.lock();
        state.set_response(ResponseSlot::Discarding);
        state.wake_senders();
        state.wake_task();
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests;
