//! WebSockets: a [`WebSocket`] is a `Stream` of messages and a `Sink` for them.
//!
//! ```
//! use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketAccept};
//! use callgate_toolkit::websocket::WebSocketUpgrade;
//!
//! async fn shout(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_websocket()?;
//!     let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
//!     let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
//!     while let Some(message) = socket.receive().await {
//!         if let Message::Text(text) = message {
//!             socket.send(Message::text(text.to_uppercase())).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, Feature, Message, ReceiveEvent, Receiver, SendError, Sender, WebSocketAccept,
    WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use futures_util::{Sink, Stream};

use crate::middleware::Refusal;
use crate::response::Response;

/// The handshake of a WebSocket, which the application accepts or refuses.
#[derive(Debug)]
#[must_use = "a handshake is completed by `accept`, `refuse` or `deny`"]
pub struct WebSocketUpgrade {
    offers_denial: bool,
    receiver: Receiver,
    sender: Sender,
}

impl WebSocketUpgrade {
    /// Creates the handshake of an exchange of which nothing has been received or sent.
    pub fn new(scope: &WebSocketScope, receiver: Receiver, sender: Sender) -> Self {
        Self {
            offers_denial: scope.features.contains(Feature::DenialResponse),
            receiver,
            sender,
        }
    }

    /// Accepts the handshake, which opens the WebSocket.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn accept(self, accept: WebSocketAccept) -> Result<WebSocket, SendError> {
        self.sender.send(accept).await?;
        Ok(WebSocket {
            incoming: Incoming {
                receiver: self.receiver,
                disconnect: None,
            },
            outgoing: Outgoing {
                sender: self.sender,
                is_closed: false,
            },
        })
    }

    /// Refuses the handshake: the client gets a 403 without content (rule `WS-05`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn refuse(self) -> Result<(), AppError> {
        Ok(self.sender.send(WebSocketClose::default()).await?)
    }

    /// Refuses the handshake with this response where the server offers that, and as
    /// [`refuse`](Self::refuse) where it does not (rule `EXT-01`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn deny(self, response: Response) -> Result<(), AppError> {
        let offers_denial = self.offers_denial;
        let refusal = Refusal::WebSocket { offers_denial };
        refusal.send(response, &self.sender).await
    }
}

/// An open WebSocket.
///
/// A WebSocket that is dropped stays open until the call returns, which closes it with 1000 (rule
/// `WS-22`). As a stream it ends when the WebSocket is over; closing the sink closes the WebSocket with
/// 1000.
#[derive(Debug)]
pub struct WebSocket {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl WebSocket {
    /// Returns the next message; `None` when the WebSocket is over. Cancel safe.
    pub async fn receive(&mut self) -> Option<Message> {
        self.incoming.receive().await
    }

    /// Sends a message. Resolves when the server has taken it (rule `CORE-08`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.outgoing.send(message).await
    }

    /// Closes the WebSocket. Messages that the client sends afterwards are not received.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn close(self, close: WebSocketClose) -> Result<(), SendError> {
        self.outgoing.sender.send(close).await
    }

    /// Returns how the WebSocket ended, once [`receive`](Self::receive) has returned `None`.
    #[must_use]
    pub fn disconnect(&self) -> Option<&WebSocketDisconnect> {
        self.incoming.disconnect()
    }

    /// Splits the WebSocket into its directions, each for a task of its own. The outgoing direction can
    /// be cloned, for example for a broadcast to many clients.
    #[must_use]
    pub fn split(self) -> (Incoming, Outgoing) {
        (self.incoming, self.outgoing)
    }
}

/// The messages from the client of a WebSocket. The stream ends when the WebSocket is over.
#[derive(Debug)]
pub struct Incoming {
    receiver: Receiver,
    disconnect: Option<WebSocketDisconnect>,
}

impl Incoming {
    /// Returns the next message, as [`WebSocket::receive`].
    pub async fn receive(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Returns how the WebSocket ended, as [`WebSocket::disconnect`].
    #[must_use]
    pub fn disconnect(&self) -> Option<&WebSocketDisconnect> {
        self.disconnect.as_ref()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        while self.disconnect.is_none() {
            match ready!(self.receiver.poll_receive(cx)) {
                ReceiveEvent::WebSocketReceive(message) => return Poll::Ready(Some(message)),
                ReceiveEvent::WebSocketDisconnect(disconnect) => {
                    self.disconnect = Some(disconnect);
                }
                _ => {}
            }
        }
        Poll::Ready(None)
    }
}

impl Stream for Incoming {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().poll_receive(cx)
    }
}

/// The messages to the client of a WebSocket. Clones send to the same client.
///
/// The sink takes a message when there is room for it. Closing the sink closes the WebSocket with 1000.
#[derive(Clone, Debug)]
pub struct Outgoing {
    sender: Sender,
    /// Whether the sink has been closed.
    is_closed: bool,
}

impl Outgoing {
    /// Sends a message, as [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Closes the WebSocket, as [`WebSocket::close`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn close(&self, close: WebSocketClose) -> Result<(), SendError> {
        self.sender.send(close).await
    }
}

#[cfg(feature = "channels")]
impl Outgoing {
    /// Returns the sender.
    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Sink<Message> for Outgoing {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.sender.poll_ready(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.sender.start_send(message).map(drop)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        // The server writes what it has taken.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.is_closed {
            ready!(self.sender.poll_ready(cx));
            self.is_closed = true;
            self.sender.start_send(WebSocketClose::default())?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for WebSocket {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().incoming.poll_receive(cx)
    }
}

impl Sink<Message> for WebSocket {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.get_mut().outgoing).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        Pin::new(&mut self.get_mut().outgoing).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.get_mut().outgoing).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.get_mut().outgoing).poll_close(cx)
    }
}
