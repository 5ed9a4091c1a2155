//! An open WebSocket. The relay turns the events of the server into frames for the service, and
//! the frames of the service into events.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender,
    WebSocketDisconnect,
};
use callgate_drive::websocket::message::{
    MessageConfig, MessageStream, ReadError, Received, Role, to_close,
};
use tokio::io::{AsyncWrite as _, DuplexStream};

/// The client's end of the connection in memory, whose other end is the service's.
///
/// The relay holds at most one message in each direction, besides the buffers of the connection.
/// Neither direction waits for the other.
pub(super) struct WebSocketRelay {
    socket: MessageStream<DuplexStream>,
    receiver: Receiver,
    sender: Sender,
    phase: Phase,
    /// An event of the service for which the server has no room yet.
    event: Option<SendEvent>,
    /// The rest of a send that the server still prepares.
    pending: Option<PendingSend>,
}

/// Which of the two sides have ended the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The service has closed the WebSocket. The close is still to be sent to the server.
    ServiceClosed,
    /// A send has failed, as the client is gone. The disconnect is still to be received.
    Disconnected,
    /// The client is gone, and the service has been sent a close frame. The service may go on.
    CloseForwarded,
    /// The client is gone without a close frame. The service sees the end of the connection, and may
    /// go on.
    ConnectionLost,
}

impl WebSocketRelay {
    /// Creates a relay over `stream`. `read` is the input that has been read from it.
    pub(super) fn new(
        stream: DuplexStream,
        read: &[u8],
        receiver: Receiver,
        sender: Sender,
    ) -> Self {
        // The server limits messages. No output may wait, so that a message which the
        // service does not read makes the next one wait.
        let config = MessageConfig {
            max_message_size: usize::MAX,
            max_message_frames: usize::MAX,
            max_waiting_output: 0,
            // The server compresses, for the client.
            deflate: None,
        };
        let socket = MessageStream::new(stream, read, Role::InProcessClient, config);
        Self {
            socket,
            receiver,
            sender,
            phase: Phase::Open,
            event: None,
            pending: None,
        }
    }

    /// Carries messages until the service has ended its side of the WebSocket.
    pub(super) async fn run(mut self) -> Result<(), AppError> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            self.poll_toward_service(cx);
            let phase = self.phase;
            let ended = self.poll_toward_client(cx)?;
            if self.phase == Phase::Disconnected && phase != Phase::Disconnected {
                continue;
            }
            // Sends the answer to a ping or a close frame of the service, if one has just been read.
            let _ = self.socket.poll_flush(cx);
            return ended.map(Ok);
        }
    }

    /// Writes the messages of the client, while the service reads them.
    fn poll_toward_service(&mut self, cx: &mut Context<'_>) {
        while matches!(self.phase, Phase::Open | Phase::Disconnected) {
            let has_room = match self.socket.poll_ready(cx) {
                Poll::Pending if self.phase == Phase::Open => return,
                Poll::Pending => false,
                Poll::Ready(Ok(())) => true,
                // The service has closed its end, which reading shows as well.
                Poll::Ready(Err(_)) => break,
            };
            let Poll::Ready(event) = self.receiver.poll_receive(cx) else {
                break;
            };
            match event {
                ReceiveEvent::WebSocketReceive(message) if has_room => {
                    self.socket.start_send(message);
                }
                ReceiveEvent::WebSocketDisconnect(disconnect) => self.forward(&disconnect),
                _ => {}
            }
        }
        let is_flushed = self.socket.poll_flush(cx).is_ready();
        if self.phase == Phase::ConnectionLost && is_flushed {
            let _ = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
        }
    }

    /// Informs the service that the client is gone. Further messages of the service are dropped.
    fn forward(&mut self, disconnect: &WebSocketDisconnect) {
        self.event = None;
        if disconnect.code == 1006 {
            self.phase = Phase::ConnectionLost;
        } else {
            self.phase = Phase::CloseForwarded;
            self.socket.start_close(to_close(disconnect).as_ref());
        }
    }

    /// Sends the messages of the service, while the server has room. Ready when the service has
    /// ended its side.
    fn poll_toward_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            match ready!(self.poll_send(cx)) {
                Ok(()) => {}
                Err(SendError::Disconnected) => {
                    self.phase = Phase::Disconnected;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            match self.phase {
                Phase::ServiceClosed => return Poll::Ready(Ok(())),
                Phase::Disconnected => return Poll::Pending,
                _ => {}
            }
            let is_open = self.phase == Phase::Open;
            match ready!(self.socket.poll_next(cx)) {
                Ok(Received::Close(close)) => {
                    self.socket.start_close(close.as_ref());
                    if !is_open {
                        return Poll::Ready(self.result());
                    }
                    self.event = Some(close.unwrap_or_default().into());
                    self.phase = Phase::ServiceClosed;
                }
                Ok(Received::Message(message)) if is_open => {
                    self.event = Some(SendEvent::WebSocketSend(message));
                }
                // The service sends although the client is gone. The message is dropped while the close
                // frame of the client is on its way. After that the write fails, as on any closed
                // connection.
                Ok(Received::Message(_)) if self.socket.has_output() => {}
                Ok(Received::Message(_)) => return Poll::Ready(self.result()),
                Ok(Received::Ping(payload)) => self.socket.start_pong(payload),
                Ok(Received::Pong) => {}
                // The service has dropped the WebSocket without a close frame. The server sends a
                // close frame when the call returns.
                Err(ReadError::ConnectionLost) => return Poll::Ready(self.result()),
                Err(ReadError::Invalid(error)) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Sends the event of the service, if there is one.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.event.is_some() {
            ready!(self.sender.poll_ready(cx));
        }
        if let Some(event) = self.event.take()
            && let SendProgress::Pending(rest) = self.sender.start_send(event)?
        {
            self.pending = Some(rest);
        }
        if let Some(rest) = &mut self.pending {
            let result = ready!(rest.as_mut().poll(cx));
            self.pending = None;
            return Poll::Ready(result);
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the result of the call when the service has ended its side.
    fn result(&self) -> Result<(), AppError> {
        match self.phase {
            Phase::Open | Phase::ServiceClosed => Ok(()),
            Phase::Disconnected | Phase::CloseForwarded | Phase::ConnectionLost => {
                Err(SendError::Disconnected.into())
            }
        }
    }
}
