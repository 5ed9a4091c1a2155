//! An open WebSocket. The relay turns the events of the server into frames for the service, and
//! the frames of the service into events.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender,
    WebSocketDisconnect,
};
use callgate_drive::websocket::frames;
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncWrite as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The client's end of the connection in memory, whose other end is the service's.
///
/// The relay holds at most one message in each direction, besides the buffers of the connection.
/// Neither direction waits for the other.
pub(super) struct WebSocketRelay {
    socket: WebSocketStream<DuplexStream>,
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
    pub(super) async fn new(
        stream: DuplexStream,
        read: Vec<u8>,
        receiver: Receiver,
        sender: Sender,
    ) -> Self {
        // The server limits the size of messages. The write buffer is empty, so that a message
        // which the service does not read makes the next one wait.
        let config = WebSocketConfig::default()
            .read_buffer_size(frames::READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(None)
            .max_frame_size(None);
        let socket =
            WebSocketStream::from_partially_read(stream, read, Role::Client, Some(config)).await;
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
            // Sends the answer to a close frame of the service, if tungstenite has just read one.
            let _ = Pin::new(&mut self.socket).poll_flush(cx);
            return ended.map(Ok);
        }
    }

    /// Writes the messages of the client, while the service reads them.
    fn poll_toward_service(&mut self, cx: &mut Context<'_>) {
        while matches!(self.phase, Phase::Open | Phase::Disconnected) {
            let has_room = match Pin::new(&mut self.socket).poll_ready(cx) {
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
                    self.start_send(frames::from_message(message));
                }
                ReceiveEvent::WebSocketDisconnect(disconnect) => self.forward(&disconnect),
                _ => {}
            }
        }
        let is_flushed = Pin::new(&mut self.socket).poll_flush(cx).is_ready();
        if self.phase == Phase::ConnectionLost && is_flushed {
            let _ = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
        }
    }

    fn start_send(&mut self, frame: tungstenite::Message) {
        // An error means that the service has closed its end, which reading shows as well.
        let _ = Pin::new(&mut self.socket).start_send(frame);
    }

    /// Informs the service that the client is gone. Further messages of the service are dropped.
    fn forward(&mut self, disconnect: &WebSocketDisconnect) {
        self.event = None;
        if disconnect.code == 1006 {
            self.phase = Phase::ConnectionLost;
        } else {
            self.phase = Phase::CloseForwarded;
            self.start_send(frames::from_disconnect(disconnect));
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
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(tungstenite::Message::Close(frame))) if is_open => {
                    self.event = Some(frames::to_close(frame).into());
                    self.phase = Phase::ServiceClosed;
                }
                Some(Ok(frame)) if is_open => {
                    self.event = frames::to_message(frame).map(SendEvent::WebSocketSend);
                }
                // The service sends although the client is gone. The write fails, as on any closed
                // connection.
                Some(Ok(tungstenite::Message::Text(_) | tungstenite::Message::Binary(_))) => {
                    return Poll::Ready(self.result());
                }
                Some(Ok(_)) => {}
                // The service has dropped the WebSocket without a close frame. The server sends a
                // close frame when the call returns.
                None
                | Some(Err(
                    Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                )) => return Poll::Ready(self.result()),
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
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
