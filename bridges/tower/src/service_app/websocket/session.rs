//! An open WebSocket: events on the one side, and frames for the service on the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender,
    WebSocketDisconnect,
};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncWrite as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self};

use callgate_drive::websocket::frames;

/// Carries messages between a server and a service. To the service it is the client.
///
/// Each direction holds one message at most, apart from the bytes in between, and neither waits for
/// the other.
pub(super) struct Session {
    socket: WebSocketStream<DuplexStream>,
    receiver: Receiver,
    sender: Sender,
    phase: Phase,
    /// An event of the service for which the server has no room yet.
    event: Option<SendEvent>,
    /// The rest of a send that the server still prepares.
    pending: Option<PendingSend>,
}

/// Who is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The service has closed it, or has gone away; what it said last is still to be sent.
    Ending,
    /// The client has gone away; how is still to be received.
    Gone,
    /// The service has been told of that, by a close. It may take its time.
    Leaving,
    /// The same, without a close.
    Lost,
}

impl Session {
    /// Over `stream`, from which `read` has been read already.
    pub(super) async fn new(
        stream: DuplexStream,
        read: Vec<u8>,
        receiver: Receiver,
        sender: Sender,
    ) -> Self {
        // The limits are the server's. Each message is written at once, so that one that the service
        // does not read holds up the next.
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

    /// Runs until the service has left the WebSocket.
    pub(super) async fn run(mut self) -> Result<(), AppError> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            self.poll_toward_service(cx);
            let phase = self.phase;
            let ended = self.poll_toward_client(cx)?;
            if self.phase == Phase::Gone && phase != Phase::Gone {
                continue;
            }
            // A close of the service has its answer now.
            let _ = Pin::new(&mut self.socket).poll_flush(cx);
            return ended.map(Ok);
        }
    }

    /// Passes on what the client says, as far as the service takes it.
    fn poll_toward_service(&mut self, cx: &mut Context<'_>) {
        while matches!(self.phase, Phase::Open | Phase::Gone) {
            let has_room = match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending if self.phase == Phase::Open => return,
                Poll::Pending => false,
                Poll::Ready(Ok(())) => true,
                // The service does not listen any more. Reading says so, too.
                Poll::Ready(Err(_)) => break,
            };
            let Poll::Ready(event) = self.receiver.poll_receive(cx) else {
                break;
            };
            match event {
                ReceiveEvent::WebSocketReceive(message) if has_room => {
                    self.start_send(frames::from_message(message));
                }
                ReceiveEvent::WebSocketDisconnect(disconnect) => self.leave(&disconnect),
                _ => {}
            }
        }
        let is_flushed = Pin::new(&mut self.socket).poll_flush(cx).is_ready();
        if self.phase == Phase::Lost && is_flushed {
            let _ = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
        }
    }

    fn start_send(&mut self, frame: tungstenite::Message) {
        // An error means that the service is gone, which reading tells as well.
        let _ = Pin::new(&mut self.socket).start_send(frame);
    }

    /// Tells the service that the client is gone. Nothing it says can be delivered any more.
    fn leave(&mut self, disconnect: &WebSocketDisconnect) {
        self.event = None;
        if disconnect.code == 1006 {
            self.phase = Phase::Lost;
        } else {
            self.phase = Phase::Leaving;
            self.start_send(frames::from_disconnect(disconnect));
        }
    }

    /// Passes on what the service says, as far as the server takes it. Ready when it is through.
    fn poll_toward_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            match ready!(self.poll_send(cx)) {
                Ok(()) => {}
                Err(SendError::Disconnected) => {
                    self.phase = Phase::Gone;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            match self.phase {
                Phase::Ending => return Poll::Ready(Ok(())),
                Phase::Gone => return Poll::Pending,
                _ => {}
            }
            let is_open = self.phase == Phase::Open;
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(tungstenite::Message::Close(frame))) if is_open => {
                    self.event = Some(frames::to_close(frame).into());
                    self.phase = Phase::Ending;
                }
                Some(Ok(frame)) if is_open => {
                    self.event = frames::to_message(frame).map(SendEvent::WebSocketSend);
                }
                // It has not read yet that nobody listens. As with a connection that is closed, it
                // reads what it was told, and cannot write.
                Some(Ok(tungstenite::Message::Text(_) | tungstenite::Message::Binary(_))) => {
                    return Poll::Ready(self.left());
                }
                Some(Ok(_)) => {}
                // It has dropped the WebSocket without a close. The server says one.
                None
                | Some(Err(
                    Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                )) => return Poll::Ready(self.left()),
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

    fn left(&self) -> Result<(), AppError> {
        match self.phase {
            Phase::Open | Phase::Ending => Ok(()),
            Phase::Gone | Phase::Leaving | Phase::Lost => Err(SendError::Disconnected.into()),
        }
    }
}
