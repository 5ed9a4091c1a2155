//! An open WebSocket: one task that polls the socket and the application together.
//!
//! Each round takes all that has come from the client, lets the application work on it, sends all
//! that it had to say, and flushes once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use callgate::{Message, WebSocketClose, WebSocketDisconnect};
use callgate_drive::Call;
use callgate_drive::websocket::{Mailbox, Outbound};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self};

use super::watched::{Sign, Watched};
use crate::context::ServerContext;
use crate::socket::linger;
use crate::stage::{Stage, StageWatch};
use crate::timer::{set_timer, unset_timer};

/// How long the client may take to answer a close, from when it last took something.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Read and written at once, in bytes: what an idle WebSocket takes is mostly the first.
const READ_BUFFER: usize = 4096;
const WRITE_BUFFER: usize = 16 * 1024;
/// Answers to pings that wait to be sent at most: the codec would hold any number of them for a
/// client that does not read.
const MAX_PONGS: usize = 16;
/// Rounds after which other tasks get their turn.
const MAX_ROUNDS: usize = 16;

/// A WebSocket that the application has accepted.
#[derive(Debug)]
pub(crate) struct Session {
    /// None once the application's call has ended.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    server: Arc<ServerContext>,
}

impl Session {
    pub(crate) fn new(
        call: Option<Call>,
        mailbox: Arc<Mailbox>,
        server: Arc<ServerContext>,
    ) -> Self {
        Self {
            call,
            mailbox,
            server,
        }
    }

    /// Runs the WebSocket over `stream`, of which `read` has been read already, and then what is
    /// left of the application.
    pub(crate) async fn run<S>(mut self, stream: S, read: Bytes)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = &self.server.config;
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(config.ws_max_size))
            .max_frame_size(Some(config.ws_max_size));
        // A copy, so that hyper's buffer is not kept for as long as the WebSocket lives.
        let unread = read.to_vec();
        drop(read);
        let stream = Watched::new(stream);
        let socket =
            WebSocketStream::from_partially_read(stream, unread, Role::Server, Some(limits)).await;
        let server = self.server.clone();
        let mut driver = Driver {
            socket,
            mailbox: &self.mailbox,
            phase: Phase::Open,
            pongs: 0,
            ping: Ping {
                interval: config.ws_ping_interval,
                timeout: config.ws_ping_timeout,
                sent: None,
                since: Instant::now(),
            },
        };
        let is_ended = {
            let mut stage = pin!(server.stages.watch());
            let mut timer = pin!(unset_timer());
            let call = &mut self.call;
            poll_fn(|cx| driver.poll(cx, call, stage.as_mut(), timer.as_mut())).await
        };
        if is_ended {
            return;
        }
        let Driver { mut socket, .. } = driver;
        if let Some(call) = self.call.take() {
            // It need not wait for a client that takes its time to hang up.
            server.detach(call, self.mailbox.clone());
        }
        // Boxed, as an idle WebSocket should not be the larger for how it ends.
        Box::pin(linger(socket.get_mut(), &server.stages)).await;
    }
}

impl Drop for Session {
    /// The client may be gone before the session has begun to run.
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.mailbox.over(WebSocketDisconnect::new(1006));
            self.server.detach(call, self.mailbox.clone());
        }
    }
}

/// What an open WebSocket is made of while it runs.
struct Driver<'a, S> {
    socket: WebSocketStream<Watched<S>>,
    mailbox: &'a Mailbox,
    phase: Phase,
    /// Pings that have come since all output was last sent.
    pongs: usize,
    ping: Ping,
}

/// How far a WebSocket has come on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// We have sent a close, and wait for the client's until then.
    Closing(Instant),
    /// What is left is still to be sent, until then; nothing is read any more.
    Flushing(Instant),
    Closed,
}

/// When the server pings, and when it gives up.
#[derive(Debug)]
struct Ping {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    /// When the ping was sent that has not been answered.
    sent: Option<Instant>,
    /// When the client was last known to be there.
    since: Instant,
}

impl<S> Driver<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Runs the WebSocket to its end. True when the server does not wait for more.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        call: &mut Option<Call>,
        mut stage: Pin<&mut StageWatch<'_>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<bool> {
        match stage.as_mut().poll_new(cx) {
            Some(Stage::Ending) => return Poll::Ready(true),
            Some(_) => self.close(cx, WebSocketClose::new(1012)),
            None => {}
        }
        for _ in 0..MAX_ROUNDS {
            let has_read = self.read(cx);
            if let Some(running) = call
                && running.poll(cx, self.mailbox).is_ready()
            {
                *call = None;
            }
            let has_written = self.write(cx);
            if self.phase == Phase::Closed {
                return Poll::Ready(false);
            }
            if !has_read && !has_written {
                let was_held_back = self.pongs >= MAX_PONGS;
                self.flush(cx);
                if self.phase == Phase::Closed {
                    return Poll::Ready(false);
                }
                if was_held_back && self.pongs == 0 {
                    continue;
                }
                self.poll_time(cx, timer.as_mut());
                return Poll::Pending;
            }
        }
        self.flush(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what has come from the client. True when there was something for the application.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_read = false;
        while matches!(self.phase, Phase::Open | Phase::Closing(_)) {
            if self.pongs >= MAX_PONGS {
                break;
            }
            if self.phase == Phase::Open && !self.mailbox.has_room() {
                // The application is slow, and so must the client be. Its answers to pings cannot be
                // seen meanwhile. If it is the client that the application waits for, it has to take
                // something.
                if !self.socket.get_ref().is_blocked() {
                    self.ping.heard();
                }
                break;
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(message))) => has_read |= self.received(message),
                Poll::Ready(Some(Err(error))) => {
                    has_read = true;
                    self.failed(cx, &error);
                }
                Poll::Ready(None) => {
                    has_read = true;
                    self.mailbox.over(WebSocketDisconnect::new(1006));
                    self.finish();
                }
            }
        }
        has_read
    }

    /// True when the application is told of it.
    fn received(&mut self, message: tungstenite::Message) -> bool {
        let message = match message {
            tungstenite::Message::Text(text) => {
                let text = ByteString::try_from(Bytes::from(text)).expect("checked on the wire");
                Message::Text(text)
            }
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            tungstenite::Message::Close(frame) => {
                let disconnect = frame.map_or_else(
                    || WebSocketDisconnect::new(1005),
                    |frame| {
                        let mut disconnect = WebSocketDisconnect::new(frame.code.into());
                        disconnect.reason = frame.reason.as_str().into();
                        disconnect
                    },
                );
                self.mailbox.over(disconnect);
                self.finish();
                return true;
            }
            tungstenite::Message::Ping(_) => {
                // The codec answers it.
                self.pongs += 1;
                return false;
            }
            tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_) => return false,
        };
        if self.phase == Phase::Open {
            self.mailbox.deliver(message);
        }
        true
    }

    /// Reading failed: says why, if anyone is left to hear it (RFC 6455, 7.1.7).
    fn failed(&mut self, cx: &mut Context<'_>, error: &Error) {
        let code = match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => 1009,
            Error::Utf8(_) => 1007,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => 1006,
            Error::Protocol(_) => 1002,
            _ => 1006,
        };
        if code == 1006 {
            self.over(WebSocketDisconnect::new(code));
            return;
        }
        self.mailbox.over(WebSocketDisconnect::new(code));
        self.send_close(cx, WebSocketClose::new(code));
        if self.phase != Phase::Closed {
            self.finish();
        }
    }

    /// Nothing more comes from the client, or nothing that counts. What is left is sent: the codec's
    /// answer to a close, say, and what the client has not taken yet.
    fn finish(&mut self) {
        self.phase = Phase::Flushing(Instant::now() + CLOSE_TIMEOUT);
    }

    /// Nothing can be read or written any more.
    fn over(&mut self, disconnect: WebSocketDisconnect) {
        self.mailbox.over(disconnect);
        self.phase = Phase::Closed;
    }

    /// Sends what the application has said. True when there was something.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_written = false;
        while self.phase == Phase::Open {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => {
                    self.over(WebSocketDisconnect::new(1006));
                    return true;
                }
                Poll::Ready(Ok(())) => {}
            }
            let Poll::Ready(outbound) = self.mailbox.poll_outbound(cx) else {
                break;
            };
            has_written = true;
            match outbound {
                Outbound::Message(message) => {
                    let message = match message {
                        Message::Text(text) => {
                            let text = Utf8Bytes::try_from(text.into_bytes());
                            tungstenite::Message::Text(text.expect("a `ByteString` is UTF-8"))
                        }
                        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
                    };
                    self.start_send(message);
                }
                Outbound::Close(close) => self.close(cx, close),
            }
        }
        has_written
    }

    /// Closes from our side: sends the close, and waits for the client's.
    fn close(&mut self, cx: &mut Context<'_>, close: WebSocketClose) {
        let mut disconnect = WebSocketDisconnect::new(close.code);
        disconnect.reason = close.reason.clone();
        self.mailbox.over(disconnect);
        if self.phase == Phase::Open {
            self.send_close(cx, close);
            if self.phase == Phase::Open {
                self.phase = Phase::Closing(Instant::now() + CLOSE_TIMEOUT);
            }
        }
    }

    fn send_close(&mut self, cx: &mut Context<'_>, close: WebSocketClose) {
        self.start_send(tungstenite::Message::Close(Some(CloseFrame {
            code: close.code.into(),
            reason: Utf8Bytes::from(String::from(close.reason)),
        })));
        self.flush(cx);
    }

    fn start_send(&mut self, message: tungstenite::Message) {
        if Pin::new(&mut self.socket).start_send(message).is_err() {
            self.over(WebSocketDisconnect::new(1006));
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => {}
            Poll::Ready(Err(_)) => self.over(WebSocketDisconnect::new(1006)),
            Poll::Ready(Ok(())) => {
                self.pongs = 0;
                if let Phase::Flushing(_) = self.phase {
                    self.phase = Phase::Closed;
                }
            }
        }
    }

    /// Pings a client that has been silent, and gives up on one that stays so.
    fn poll_time(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) {
        if let Some(sign) = self.socket.get_mut().take_sign() {
            self.ping.heard();
            if let (Sign::Taken, Phase::Closing(deadline) | Phase::Flushing(deadline)) =
                (sign, &mut self.phase)
            {
                *deadline = Instant::now() + CLOSE_TIMEOUT;
            }
        }
        let deadline = match self.phase {
            Phase::Open => self.ping.deadline(),
            Phase::Closing(deadline) | Phase::Flushing(deadline) => Some(deadline),
            Phase::Closed => None,
        };
        let Some(deadline) = deadline else { return };
        if !timer.is_elapsed() && timer.deadline() <= deadline {
            return;
        }
        if Instant::now() < deadline {
            if set_timer(timer, deadline, cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return;
        }
        match self.phase {
            Phase::Open if self.ping.sent.is_some() => {
                let close = WebSocketClose::new(1011).reason("keepalive ping timeout");
                self.close(cx, close);
            }
            Phase::Open => {
                self.ping.sent = Some(Instant::now());
                self.start_send(tungstenite::Message::Ping(Bytes::new()));
                self.flush(cx);
            }
            _ => self.phase = Phase::Closed,
        }
        cx.waker().wake_by_ref();
    }
}

impl Ping {
    /// The client is there.
    fn heard(&mut self) {
        self.sent = None;
        self.since = Instant::now();
    }

    fn deadline(&self) -> Option<Instant> {
        match self.sent {
            Some(sent) => self.timeout.and_then(|timeout| sent.checked_add(timeout)),
            None => self
                .interval
                .and_then(|interval| self.since.checked_add(interval)),
        }
    }
}
