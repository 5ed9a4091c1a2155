//! An open WebSocket: its frames on the connection, and its messages in the mailbox.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use callgate::{WebSocketClose, WebSocketDisconnect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::keep_alive::{Due, KeepAlive};
use super::liveness::{Activity, Observed, PeerState};
use super::mailbox::Waiting;
use super::message::{MessageError, MessageStream, ReadError, Received, to_disconnect};
use super::session_end::{SessionEnd, Traffic};
use super::{Mailbox, Outbound};
use crate::Call;
use crate::timer::set_timer;

/// How long the client may take to answer a close frame, counted from when it last took output.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most pongs that wait to be sent. Without this bound they would take any amount of memory for
/// a client that does not read.
const MAX_PONGS: usize = 16;
/// The rounds of one poll. Then the other tasks of the thread run.
const MAX_ROUNDS: usize = 16;
/// How much is read while the queue of the mailbox is full, in bytes and in messages. A pong, a
/// close frame or the end of the connection behind this many messages is seen.
const MAX_READ_AHEAD: usize = 64 * 1024;
const MAX_MESSAGES_AHEAD: usize = 1024;
/// The bytes of messages that are read in one round. Compressed messages may be much larger than the
/// octets that have arrived, and no queue bounds the messages after a close of the application,
/// which are dropped.
const MAX_READ_IN_ROUND: usize = 1024 * 1024;
/// What each frame adds to the bytes of a round, because small frames take time too.
const FRAME_COST: usize = 1024;
/// The rounds in which the application may answer the messages before the end of the client's
/// input.
const MAX_ROUNDS_AFTER_END: usize = 1024;

/// The connection of an open WebSocket.
#[derive(Debug)]
pub(super) struct Connection<S> {
    socket: MessageStream<Observed<S>>,
    mailbox: Arc<Mailbox>,
    phase: Phase,
    /// Pings received since all output was last flushed.
    pongs: usize,
    /// Whether the connection had nothing to read when it was last asked in this poll.
    is_read_pending: bool,
    /// Whether the queue of the mailbox had room when it was last seen. Only the application makes
    /// room, and only the session takes it.
    has_room: bool,
    /// Messages read while the queue of the mailbox was full, and their bytes.
    messages_ahead: usize,
    bytes_ahead: usize,
    /// Set while the session does not read because the application does not receive: the number of
    /// messages in the queue at the last check.
    stalled: Option<usize>,
    /// The end of the client's input, when the application has not yet had the time to respond to
    /// the messages before it.
    input_end: Option<InputEnd>,
    /// The rounds since the end of the client's input.
    rounds_after_end: usize,
    keep_alive: KeepAlive,
    traffic: Traffic,
    end: SessionEnd,
}

/// The end of the input of a client whose connection still carries output.
#[derive(Debug)]
enum InputEnd {
    /// A close frame.
    Close(Option<WebSocketClose>),
    /// Octets that break the protocol or a limit.
    Invalid(MessageError),
}

/// What a round has written.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// Whether there was a message or a close.
    is_some: bool,
    /// Whether another round follows: the application has waited for the room that is there now, or the
    /// client's close is to be read.
    leads_to_round: bool,
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
        socket: MessageStream<Observed<S>>,
        mailbox: Arc<Mailbox>,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            socket,
            mailbox,
            phase: Phase::Open,
            pongs: 0,
            is_read_pending: false,
            has_room: true,
            messages_ahead: 0,
            bytes_ahead: 0,
            stalled: None,
            input_end: None,
            rounds_after_end: 0,
            keep_alive,
            traffic: Traffic::default(),
            end: SessionEnd::Closed,
        }
    }

    /// Returns what has been carried.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Returns how the session has ended, once it is closed.
    pub(super) fn end(&self) -> SessionEnd {
        self.end
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
    /// messages that it has sent. When the application has nothing more to receive and has got no more
    /// room to send, the output is flushed once. The end of the client's input takes effect when nothing
    /// more is written, so that the application responds to the messages before it first.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        call: &mut Option<Call>,
        timer: Pin<&mut Sleep>,
    ) -> Poll<()> {
        self.mailbox.begin_poll(cx);
        self.is_read_pending = false;
        for _ in 0..MAX_ROUNDS {
            let has_read = self.read(cx);
            if let Some(running) = call
                && running.poll(cx, &*self.mailbox).is_ready()
            {
                *call = None;
            }
            let written = self.write(cx);
            if self.phase == Phase::Closed {
                return self.closed();
            }
            if has_read && !self.is_read_pending || written.leads_to_round {
                continue;
            }
            if self.input_end.is_some() && (has_read || written.is_some) {
                continue;
            }
            if let Some(end) = self.input_end.take() {
                self.end_input(cx, end);
                continue;
            }
            let was_held_back = self.pongs >= MAX_PONGS;
            self.flush(cx);
            if self.phase == Phase::Closed {
                return self.closed();
            }
            if was_held_back && self.pongs == 0 || !self.mailbox.end_poll(self.waiting()) {
                continue;
            }
            self.poll_time(cx, timer);
            return Poll::Pending;
        }
        if self.input_end.is_some() {
            self.rounds_after_end += MAX_ROUNDS;
        }
        if self.rounds_after_end >= MAX_ROUNDS_AFTER_END
            && let Some(end) = self.input_end.take()
        {
            self.end_input(cx, end);
        }
        self.flush(cx);
        self.mailbox.end_poll(Waiting::default());
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn closed(&self) -> Poll<()> {
        self.mailbox.end_session();
        Poll::Ready(())
    }

    /// Returns what the session waits for besides the connection.
    fn waiting(&self) -> Waiting {
        let is_open = self.is_open();
        Waiting {
            output: is_open && self.pongs < MAX_PONGS && self.socket.has_room(),
            room: is_open && self.stalled.is_some(),
        }
    }

    /// Reads the frames that have arrived. Returns whether there was one for the application, or there
    /// may be more to read.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_read = false;
        let mut bytes = 0;
        while bytes < MAX_READ_IN_ROUND && !self.is_read_pending && self.may_read() {
            match self.socket.poll_next(cx) {
                Poll::Pending => self.is_read_pending = true,
                Poll::Ready(Ok(received)) => {
                    bytes += FRAME_COST;
                    if let Received::Message(message) = &received {
                        bytes += message.len();
                    }
                    has_read |= self.receive(received) || bytes >= MAX_READ_IN_ROUND;
                }
                Poll::Ready(Err(ReadError::Invalid(error))) => {
                    has_read = true;
                    self.input_end = Some(InputEnd::Invalid(error));
                }
                Poll::Ready(Err(ReadError::ConnectionLost)) => {
                    has_read = true;
                    let disconnect = WebSocketDisconnect::new(1006);
                    self.mailbox.disconnect_with(disconnect);
                    if self.is_open() {
                        self.end = SessionEnd::ConnectionLost;
                    }
                    self.finish();
                }
            }
        }
        has_read
    }

    /// Returns whether a further frame may be read.
    fn may_read(&mut self) -> bool {
        if self.input_end.is_some() {
            return false;
        }
        let is_open = match self.phase {
            Phase::Open => true,
            Phase::Closing(_) => false,
            Phase::Flushing(_) | Phase::Closed => return false,
        };
        if !self.has_room {
            self.has_room = self.mailbox.has_room();
        }
        if is_open && !self.has_room {
            if self.messages_ahead >= MAX_MESSAGES_AHEAD
                || self.bytes_ahead >= MAX_READ_AHEAD
                || self.socket.get_ref().octets_read() >= MAX_READ_AHEAD
            {
                self.stalled
                    .get_or_insert_with(|| self.mailbox.inbound_len());
                return false;
            }
        } else {
            self.messages_ahead = 0;
            self.bytes_ahead = 0;
            self.socket.get_mut().reset_octets_read();
        }
        self.stalled = None;
        self.pongs < MAX_PONGS
    }

    /// Processes a message or a control frame of the client. Returns whether the application is to
    /// be polled for it.
    fn receive(&mut self, received: Received) -> bool {
        self.socket.get_mut().record_sent();
        match received {
            Received::Message(message) => {
                self.traffic.messages_in += 1;
                self.traffic.octets_in += message.len() as u64;
                if self.phase == Phase::Open {
                    self.messages_ahead += 1;
                    self.bytes_ahead += message.len();
                    self.has_room = self.mailbox.deliver(message);
                }
                true
            }
            Received::Ping(payload) => {
                self.pongs += 1;
                self.socket.start_pong(payload);
                false
            }
            Received::Pong => false,
            Received::Close(close) => {
                self.input_end = Some(InputEnd::Close(close));
                true
            }
        }
    }

    /// Ends the WebSocket after the end of the client's input. The client's close frame is answered
    /// with the same code and reason (RFC 6455, 5.5.1). Invalid input is answered with the code of
    /// its error (7.1.7).
    fn end_input(&mut self, cx: &mut Context<'_>, end: InputEnd) {
        let (disconnect, close) = match end {
            InputEnd::Close(close) => (to_disconnect(close.clone()), close),
            InputEnd::Invalid(error) => {
                self.end = SessionEnd::InvalidInput(error);
                let code = error.close_code();
                (
                    WebSocketDisconnect::new(code),
                    Some(WebSocketClose::new(code)),
                )
            }
        };
        self.mailbox.disconnect_with(disconnect);
        self.socket.start_close(close.as_ref());
        self.finish();
        self.flush(cx);
    }

    /// Stops reading. The output that is left is still sent, such as the answer to a close frame.
    fn finish(&mut self) {
        self.phase = Phase::Flushing(Instant::now() + CLOSE_TIMEOUT);
    }

    /// Ends the WebSocket without a close frame: the connection is lost.
    fn lose(&mut self) {
        self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
        if self.is_open() {
            self.end = SessionEnd::ConnectionLost;
        }
        self.phase = Phase::Closed;
    }

    /// Writes the messages that the application has sent.
    fn write(&mut self, cx: &mut Context<'_>) -> Written {
        let mut written = Written::default();
        // When enough pongs wait, all output is flushed before more is added: without its pongs, the
        // client would give the connection up.
        while self.phase == Phase::Open && self.pongs < MAX_PONGS {
            match self.socket.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => {
                    self.lose();
                    break;
                }
                Poll::Ready(Ok(())) => {}
            }
            let Some(taken) = self.mailbox.take_outbound() else {
                break;
            };
            written.is_some = true;
            written.leads_to_round |= taken.has_made_room;
            match taken.outbound {
                Outbound::Message(message) => {
                    self.traffic.messages_out += 1;
                    self.traffic.octets_out += message.len() as u64;
                    self.socket.start_send(message);
                }
                Outbound::Close(close) => {
                    self.close(cx, &close);
                    // A session that was stalled has not read in this round.
                    written.leads_to_round = true;
                }
            }
            if taken.is_last {
                break;
            }
        }
        written
    }

    /// Starts the closing handshake: sends a close frame, and waits for the client's.
    pub(super) fn close(&mut self, cx: &mut Context<'_>, close: &WebSocketClose) {
        let disconnect = to_disconnect(Some(close.clone()));
        self.mailbox.disconnect_with(disconnect);
        if self.phase == Phase::Open {
            self.socket.start_close(Some(close));
            self.phase = Phase::Closing(Instant::now() + CLOSE_TIMEOUT);
            self.flush(cx);
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        match self.socket.poll_flush(cx) {
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
                self.socket.start_ping();
                self.flush(cx);
            }
            (Phase::Open, due) => self.check_client(cx, due),
            _ => {
                self.end = SessionEnd::TimedOut;
                self.phase = Phase::Closed;
            }
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
                self.end = SessionEnd::ConnectionLost;
                self.close(cx, &WebSocketClose::new(1011));
            }
            (PeerState::Unknown, _) => {
                let close = WebSocketClose::new(1011).reason("keepalive ping timeout");
                self.end = SessionEnd::TimedOut;
                self.close(cx, &close);
            }
        }
    }
}
