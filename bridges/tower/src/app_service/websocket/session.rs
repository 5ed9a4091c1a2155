//! An open WebSocket: one task that polls the socket and the application together.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{WebSocketClose, WebSocketDisconnect};
use callgate_drive::Call;
use callgate_drive::websocket::{Mailbox, Outbound};
use futures_util::{Sink as _, Stream as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::app_service::detach;
use crate::frames;

/// How long the client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Read and written at once, in bytes.
const READ_BUFFER: usize = 4096;
const WRITE_BUFFER: usize = 16 * 1024;
/// Answers to pings that wait to be sent at most: the codec would hold any number of them for a
/// client that does not read.
const MAX_PONGS: usize = 16;

/// Runs the WebSocket from its upgrade to its end, and the application with it.
pub(super) async fn run(
    mut call: Option<Call>,
    mailbox: Arc<Mailbox>,
    on_upgrade: OnUpgrade,
    max_message: usize,
    grace: Duration,
) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let mut session = match on_upgrade.await {
        Ok(stream) => {
            let stream = TokioIo::new(stream);
            Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
        }
        // The connection ended before it was one.
        Err(_) => None,
    }
    .map(|socket| Session {
        socket,
        mailbox: mailbox.clone(),
        pongs: 0,
        is_closing: false,
    });
    if let Some(session) = &mut session {
        poll_fn(|cx| session.poll_open(cx, &mut call)).await;
    }
    mailbox.over(WebSocketDisconnect::new(1006));
    // It need not wait for a client that takes its time to hang up.
    if let Some(call) = call.take() {
        detach(call, mailbox, grace);
    }
    if let Some(session) = &mut session {
        let closed = poll_fn(|cx| session.poll_close(cx));
        // A client that does not answer has been told.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }
}

struct Session {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    mailbox: Arc<Mailbox>,
    /// Pings that have come since all output was last sent.
    pongs: usize,
    /// Whether a close has been sent or received, or the connection is lost.
    is_closing: bool,
}

impl Session {
    /// Carries messages until one of the two closes.
    fn poll_open(&mut self, cx: &mut Context<'_>, call: &mut Option<Call>) -> Poll<()> {
        loop {
            let has_read = self.read(cx);
            if let Some(running) = call
                && running.poll(cx, &*self.mailbox).is_ready()
            {
                *call = None;
            }
            let has_written = self.write(cx);
            if self.is_closing {
                return Poll::Ready(());
            }
            if !has_read && !has_written {
                let was_held_back = self.pongs >= MAX_PONGS;
                match Pin::new(&mut self.socket).poll_flush(cx) {
                    Poll::Ready(Err(_)) => self.over(1006),
                    Poll::Ready(Ok(())) => self.pongs = 0,
                    Poll::Pending => {}
                }
                if self.is_closing || was_held_back && self.pongs == 0 {
                    continue;
                }
                return Poll::Pending;
            }
        }
    }

    /// Sends what is left to be sent, and waits for the client to close its side.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(Pin::new(&mut self.socket).poll_flush(cx)).is_err() {
            return Poll::Ready(());
        }
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {}
        Poll::Ready(())
    }

    /// Takes what has come from the client. True when there was something for the application.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_read = false;
        while !self.is_closing && self.mailbox.has_room() && self.pongs < MAX_PONGS {
            let Poll::Ready(received) = Pin::new(&mut self.socket).poll_next(cx) else {
                break;
            };
            has_read = true;
            match received {
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    self.is_closing = true;
                    self.mailbox.over(frames::to_disconnect(frame));
                }
                Some(Ok(tungstenite::Message::Ping(_))) => self.pongs += 1,
                Some(Ok(frame)) => {
                    if let Some(message) = frames::to_message(frame) {
                        self.mailbox.deliver(message);
                    }
                }
                Some(Err(error)) => self.failed(&error),
                None => self.over(1006),
            }
        }
        has_read
    }

    /// Reading failed: says why, if anyone is left to hear it (RFC 6455, 7.1.7).
    fn failed(&mut self, error: &Error) {
        let code = match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => 1009,
            Error::Utf8(_) => 1007,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => 1006,
            Error::Protocol(_) => 1002,
            _ => 1006,
        };
        if code != 1006 {
            self.start_send(frames::from_close(WebSocketClose::new(code)));
        }
        self.over(code);
    }

    /// Nothing more is read.
    fn over(&mut self, code: u16) {
        self.is_closing = true;
        self.mailbox.over(WebSocketDisconnect::new(code));
    }

    /// Sends what the application has said. True when there was something.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_written = false;
        while !self.is_closing {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => {
                    self.over(1006);
                    break;
                }
                Poll::Ready(Ok(())) => {}
            }
            let Poll::Ready(outbound) = self.mailbox.poll_outbound(cx) else {
                break;
            };
            has_written = true;
            match outbound {
                Outbound::Message(message) => self.start_send(frames::from_message(message)),
                Outbound::Close(close) => {
                    self.is_closing = true;
                    self.start_send(frames::from_close(close));
                }
            }
        }
        has_written
    }

    fn start_send(&mut self, frame: tungstenite::Message) {
        if Pin::new(&mut self.socket).start_send(frame).is_err() {
            self.over(1006);
        }
    }
}
