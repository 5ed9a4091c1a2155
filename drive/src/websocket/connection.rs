//! An open WebSocket: its frames on the connection, and its messages in the mailbox.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use callgate::{WebSocketClose, WebSocketDisconnect};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};

use super::keep_alive::{Due, KeepAlive};
use super::liveness::{Activity, Observed, PeerState};
use super::{Mailbox, Outbound, frames};
use crate::Call;
use crate::timer::set_timer;

/// How long the client may take to answer a close frame, counted from when it last took output.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most pongs that wait to be sent. tungstenite would hold any number of them for a client that
/// does not read.
const MAX_PONGS: usize = 16;
/// The rounds of one poll. Then the other tasks of the thread run.
const MAX_ROUNDS: usize = 16;
/// How much is read while the queue of the mailbox is full, in bytes and in messages. A pong, a
/// close frame or the end of the connection behind this many messages is seen.
const MAX_READ_AHEAD: usize = 64 * 1024;
const MAX_MESSAGES_AHEAD: usize = 1024;

/// The connection of an open WebSocket.
#[derive(Debug)]
pub(super) struct Connection<S> {
    socket: WebSocketStream<Observed<S>>,
    mailbox: Arc<Mailbox>,
    phase: Phase,
    /// Pings received since all output was last flushed.
    pongs: usize,
    /// Messages read while the queue of the mailbox was full.
    messages_ahead: usize,
    /// Set while the session does not read because the application does not receive: the number of
    /// messages in the queue at the last check.
    stalled: Option<usize>,
    keep_alive: KeepAlive,
}

/// The phase of the closing handshake (RFC 6455, 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The session has sent a close frame, and waits for the client's until this deadline.
    Closing(Instant),
    /// Nothing more is read. Output is still sent, until this deadline.
    Flushing(Instant),
    Closed,
}

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn new(
        socket: WebSocketStream<Observed<S>>,
        mailbox: Arc<Mailbox>,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            socket,
            mailbox,
            phase: Phase::Open,
            pongs: 0,
            messages_ahead: 0,
            stalled: None,
            keep_alive,
        }
    }

    pub(super) fn stream_mut(&mut self) -> &mut Observed<S> {
        self.socket.get_mut()
    }

    /// Returns whether messages are carried in both directions.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Runs the WebSocket, and the application with it, until the WebSocket is closed.
    ///
    /// Each round reads the frames that have arrived, polls the application once, and writes the
    /// messages that it has sent. When there is nothing left to read or write, the output is
    /// flushed once.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        call: &mut Option<Call>,
        timer: Pin<&mut Sleep>,
    ) -> Poll<()> {
        for _ in 0..MAX_ROUNDS {
            let has_read = self.read(cx);
            if let Some(running) = call
                && running.poll(cx, &*self.mailbox).is_ready()
            {
                *call = None;
            }
            let has_written = self.write(cx);
            if self.phase == Phase::Closed {
                return Poll::Ready(());
            }
            if !has_read && !has_written {
                let was_held_back = self.pongs >= MAX_PONGS;
                self.flush(cx);
                if self.phase == Phase::Closed {
                    return Poll::Ready(());
                }
                if was_held_back && self.pongs == 0 {
                    continue;
                }
                self.poll_time(cx, timer);
                return Poll::Pending;
            }
        }
        self.flush(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads the frames that have arrived. Returns whether there was one for the application.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_read = false;
        while self.may_read(cx) {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(message))) => has_read |= self.receive(message),
                Poll::Ready(Some(Err(error))) => {
                    has_read = true;
                    self.fail(cx, &error);
                }
                Poll::Ready(None) => {
                    has_read = true;
                    let disconnect = WebSocketDisconnect::new(1006);
                    self.mailbox.disconnect_with(disconnect);
                    self.finish();
                }
            }
        }
        has_read
    }

    /// Returns whether a further frame may be read. If not, the task is woken once it may.
    fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        let is_open = match self.phase {
            Phase::Open => true,
            Phase::Closing(_) => false,
            Phase::Flushing(_) | Phase::Closed => return false,
        };
        if is_open && self.mailbox.poll_has_room(cx).is_pending() {
            if self.messages_ahead >= MAX_MESSAGES_AHEAD
                || self.socket.get_ref().octets_read() >= MAX_READ_AHEAD
            {
                self.stalled
                    .get_or_insert_with(|| self.mailbox.inbound_len());
                return false;
            }
        } else {
            self.messages_ahead = 0;
            self.socket.get_mut().reset_octets_read();
        }
        self.stalled = None;
        self.pongs < MAX_PONGS
    }

    /// Processes a message of the client. Returns whether the application receives an event for it.
    fn receive(&mut self, message: tungstenite::Message) -> bool {
        self.socket.get_mut().record_sent();
        match message {
            tungstenite::Message::Close(frame) => {
                self.mailbox.disconnect_with(frames::to_disconnect(frame));
                self.finish();
                return true;
            }
            // tungstenite sends the pong.
            tungstenite::Message::Ping(_) => {
                self.pongs += 1;
                return false;
            }
            _ => {}
        }
        let Some(message) = frames::to_message(message) else {
            return false;
        };
        if self.phase == Phase::Open {
            self.messages_ahead += 1;
            self.mailbox.deliver(message);
        }
        true
    }

    /// Ends the WebSocket after a failed read, with a close frame if the connection can still carry
    /// one (RFC 6455, 7.1.7).
    fn fail(&mut self, cx: &mut Context<'_>, error: &Error) {
        let code = match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => 1009,
            Error::Utf8(_) => 1007,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => 1006,
            Error::Protocol(_) => 1002,
            _ => 1006,
        };
        if code == 1006 {
            self.lose();
            return;
        }
        self.mailbox.disconnect_with(WebSocketDisconnect::new(code));
        self.send_close(cx, WebSocketClose::new(code));
        if self.phase != Phase::Closed {
            self.finish();
        }
    }

    /// Stops reading. The output that is left is still sent, such as the answer to a close frame.
    fn finish(&mut self) {
        self.phase = Phase::Flushing(Instant::now() + CLOSE_TIMEOUT);
    }

    /// Ends the WebSocket without a close frame: the connection is lost.
    fn lose(&mut self) {
        self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
        self.phase = Phase::Closed;
    }

    /// Writes the messages that the application has sent. Returns whether there were any.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_written = false;
        while self.phase == Phase::Open {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => {
                    self.lose();
                    return true;
                }
                Poll::Ready(Ok(())) => {}
            }
            let Poll::Ready(outbound) = self.mailbox.poll_outbound(cx) else {
                break;
            };
            has_written = true;
            match outbound {
                Outbound::Message(message) => self.start_send(frames::from_message(message)),
                Outbound::Close(close) => self.close(cx, close),
            }
        }
        has_written
    }

    /// Starts the closing handshake: sends a close frame, and waits for the client's.
    pub(super) fn close(&mut self, cx: &mut Context<'_>, close: WebSocketClose) {
        let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
        self.mailbox.disconnect_with(disconnect);
        if self.phase == Phase::Open {
            self.send_close(cx, close);
            if self.phase == Phase::Open {
                self.phase = Phase::Closing(Instant::now() + CLOSE_TIMEOUT);
            }
        }
    }

    fn send_close(&mut self, cx: &mut Context<'_>, close: WebSocketClose) {
        self.start_send(frames::from_close(close));
        self.flush(cx);
    }

    fn start_send(&mut self, message: tungstenite::Message) {
        if Pin::new(&mut self.socket).start_send(message).is_err() {
            self.lose();
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => {}
            Poll::Ready(Err(_)) => self.lose(),
            Poll::Ready(Ok(())) => {
                self.pongs = 0;
                if let Phase::Flushing(_) = self.phase {
                    self.phase = Phase::Closed;
                }
            }
        }
    }

    /// Pings a silent client, and closes the WebSocket of a client that is gone. Otherwise sets the
    /// timer to the next deadline.
    fn poll_time(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) {
        if let Some(activity) = self.socket.get_mut().take_activity() {
            self.keep_alive.seen();
            if let (Activity::MadeRoom, Phase::Closing(deadline) | Phase::Flushing(deadline)) =
                (activity, &mut self.phase)
            {
                *deadline = Instant::now() + CLOSE_TIMEOUT;
            }
        }
        let next = match self.phase {
            Phase::Open => self.keep_alive.next(self.stalled.is_some()),
            Phase::Closing(deadline) | Phase::Flushing(deadline) => Some((deadline, Due::TimedOut)),
            Phase::Closed => None,
        };
        let Some((deadline, due)) = next else { return };
        if !timer.is_elapsed() && timer.deadline() <= deadline {
            return;
        }
        if Instant::now() < deadline {
            if set_timer(timer, deadline, cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return;
        }
        match (self.phase, due) {
            (Phase::Open, Due::Ping) => {
                self.keep_alive.pinged();
                self.start_send(tungstenite::Message::Ping(Bytes::new()));
                self.flush(cx);
            }
            (Phase::Open, due) => self.check_client(cx, due),
            _ => self.phase = Phase::Closed,
        }
        cx.waker().wake_by_ref();
    }

    /// Closes the WebSocket unless the client is connected although nothing has been received.
    ///
    /// A stalled session does not read, so it cannot see a pong. The session regards the client as
    /// connected while the application receives messages from the queue, or while the transport
    /// reports so.
    fn check_client(&mut self, cx: &mut Context<'_>, due: Due) {
        let peer_state = match self.stalled {
            None => PeerState::Unknown,
            Some(before) => {
                let left = self.mailbox.inbound_len();
                self.stalled = Some(left);
                match self.socket.get_ref().peer_state() {
                    _ if self.socket.get_ref().is_blocked() => PeerState::Unknown,
                    _ if left < before => PeerState::Connected,
                    peer_state => peer_state,
                }
            }
        };
        match (peer_state, due) {
            (PeerState::Connected, _) | (PeerState::Unknown, Due::Check) => self.keep_alive.seen(),
            (PeerState::Disconnected, _) => {
                self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
                self.close(cx, WebSocketClose::new(1011));
            }
            (PeerState::Unknown, _) => {
                let close = WebSocketClose::new(1011).reason("keepalive ping timeout");
                self.close(cx, close);
            }
        }
    }
}
