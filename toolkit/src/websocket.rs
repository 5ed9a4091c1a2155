//! WebSockets: a session that is a `Stream` of messages and a `Sink` for them.
//!
//! ```
//! use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketAccept};
//! use callgate_toolkit::websocket::Handshake;
//!
//! async fn shout(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let Scope::WebSocket(scope) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
//!     let handshake = Handshake::new(&scope, receiver, sender);
//!     let mut session = handshake.accept(WebSocketAccept::new()).await?;
//!     while let Some(message) = session.receive().await {
//!         if let Message::Text(text) = message {
//!             session.send(Message::text(text.to_uppercase())).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use callgate::{
    Feature, Message, ReceiveEvent, Receiver, SendError, SendEvent, Sender, WebSocketAccept,
    WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use futures_util::{Sink, Stream};

use crate::respond::Response;

/// A WebSocket that the application has not answered.
#[derive(Debug)]
#[must_use = "a handshake is answered by `accept`, `refuse` or `deny`"]
pub struct Handshake {
    offers_denial: bool,
    receiver: Receiver,
    sender: Sender,
}

impl Handshake {
    /// The handshake of an exchange of which nothing has been received or sent.
    pub fn new(scope: &WebSocketScope, receiver: Receiver, sender: Sender) -> Self {
        Self {
            offers_denial: scope.features.contains(Feature::DenialResponse),
            receiver,
            sender,
        }
    }

    /// Opens the WebSocket.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn accept(self, accept: WebSocketAccept) -> Result<Session, SendError> {
        self.sender.send(accept).await?;
        Ok(Session {
            incoming: Incoming {
                receiver: self.receiver,
                disconnect: None,
            },
            outgoing: Outgoing {
                sender: self.sender,
                event: None,
            },
        })
    }

    /// Refuses it: the client gets a plain 403 (rule `WS-05`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn refuse(self) -> Result<(), SendError> {
        self.sender.send(WebSocketClose::default()).await
    }

    /// Answers with this response where the server offers that, and with a plain 403 where it does
    /// not (rule `EXT-01`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn deny(self, response: Response) -> Result<(), SendError> {
        match self.offers_denial {
            true => response.deny(&self.sender).await,
            false => self.refuse().await,
        }
    }
}

/// An open WebSocket.
///
/// Dropped, it stays open until the call returns, which closes it with 1000 (rule `WS-22`).
#[derive(Debug)]
pub struct Session {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Session {
    /// The next message; none when the WebSocket is over. Cancel safe.
    pub async fn receive(&mut self) -> Option<Message> {
        self.incoming.receive().await
    }

    /// Sends a message, which resolves when the transport has taken it (rule `CORE-08`).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.outgoing.send(message).await
    }

    /// Closes it. What the client sends afterwards is not received.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn close(self, close: WebSocketClose) -> Result<(), SendError> {
        self.outgoing.sender.send(close).await
    }

    /// How it ended, once [`receive`](Self::receive) has returned none.
    #[must_use]
    pub fn disconnect(&self) -> Option<&WebSocketDisconnect> {
        self.incoming.disconnect()
    }

    /// Both directions, each for a task of its own. The outgoing one can be cloned: a broadcast has
    /// one of each session.
    #[must_use]
    pub fn split(self) -> (Incoming, Outgoing) {
        (self.incoming, self.outgoing)
    }
}

/// What comes from the client of a WebSocket. Ends when the WebSocket is over.
#[derive(Debug)]
pub struct Incoming {
    receiver: Receiver,
    disconnect: Option<WebSocketDisconnect>,
}

impl Incoming {
    /// As [`Session::receive`].
    pub async fn receive(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// As [`Session::disconnect`].
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

/// What goes to the client of a WebSocket.
///
/// As a sink it holds one message until the transport takes it; closing the sink closes the
/// WebSocket with 1000.
#[derive(Debug)]
pub struct Outgoing {
    sender: Sender,
    /// What the sink holds.
    event: Option<SendEvent>,
}

/// Another way to the same client, which does not hold what this one holds.
impl Clone for Outgoing {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            event: None,
        }
    }
}

impl Outgoing {
    /// As [`Session::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// As [`Session::close`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn close(&self, close: WebSocketClose) -> Result<(), SendError> {
        self.sender.send(close).await
    }

    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.event.is_none() {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(self.sender.poll_send(cx, &mut self.event));
        // A channel may leave what it did not deliver.
        self.event = None;
        Poll::Ready(result)
    }
}

impl Sink<Message> for Outgoing {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_deliver(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.get_mut().event = Some(message.into());
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_deliver(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        if !matches!(this.event, Some(SendEvent::WebSocketClose(_))) {
            ready!(this.poll_deliver(cx))?;
            this.event = Some(WebSocketClose::default().into());
        }
        this.poll_deliver(cx)
    }
}

impl Stream for Session {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().incoming.poll_receive(cx)
    }
}

impl Sink<Message> for Session {
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
