//! The client's end of an open WebSocket.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use callgate::{ByteString, Message, WebSocketAccept, WebSocketClose, WebSocketDisconnect};
use callgate_drive::websocket::{Mailbox, Outbound};
use http::HeaderMap;

use super::error::Error;
use super::exchange::TestExchange;

/// The client's end of an open WebSocket. When it is dropped, the client disconnects (1006).
#[derive(Debug)]
pub struct TestWebSocket {
    accept: WebSocketAccept,
    exchange: TestExchange,
    mailbox: Arc<Mailbox>,
    waiters: Arc<Waiters>,
    /// The close that the client has received.
    close: Option<WebSocketClose>,
}

/// The next message or the close, as the client reads it.
enum Inbound {
    Message(Message),
    Close(WebSocketClose),
}

impl TestWebSocket {
    pub(super) fn new(
        accept: WebSocketAccept,
        exchange: TestExchange,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self {
            accept,
            exchange,
            mailbox,
            waiters: Arc::default(),
            close: None,
        }
    }

    /// Returns the subprotocol that the application chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.accept.subprotocol.as_deref()
    }

    /// Returns the header fields that the application accepted with.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.accept.headers
    }

    /// Returns the exchange.
    #[must_use]
    pub fn exchange(&self) -> &TestExchange {
        &self.exchange
    }

    /// Sends a message, once there is room for it in the
    /// [queue](super::TestClient::queue_capacity).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Disconnected`] and [`Error::TimedOut`].
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        let room = poll_fn(|cx| match self.end() {
            Some(end) => Poll::Ready(Err(end)),
            None => self.poll_mailbox(cx, Mailbox::poll_has_room).map(Ok),
        });
        self.exchange.wait("room for a message", room).await??;
        self.mailbox.deliver(message);
        Ok(())
    }

    /// Sends a text message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_text(&self, text: impl Into<ByteString>) -> Result<(), Error> {
        self.send(Message::text(text)).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_binary(&self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.send(Message::binary(bytes)).await
    }

    /// Receives the next message. While a test does not receive, the application's sends wait once the
    /// [queue](super::TestClient::queue_capacity) is full.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the last message; [`Error::Violation`], [`Error::Disconnected`] and
    /// [`Error::TimedOut`].
    pub async fn receive(&mut self) -> Result<Message, Error> {
        match self.read("a message").await? {
            Inbound::Message(message) => Ok(message),
            Inbound::Close(close) => Err(Error::Closed(close)),
        }
    }

    /// Receives the next message, which is a text.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] when the message is binary; as [`receive`](Self::receive).
    pub async fn text(&mut self) -> Result<ByteString, Error> {
        match self.receive().await? {
            Message::Text(text) => Ok(text),
            other => Err(Error::Unexpected(other)),
        }
    }

    /// Receives the next message, which is a text, and reads it as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] when the text cannot be read so; as [`text`](Self::text).
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        let text = self.text().await?;
        serde_json::from_str(&text).map_err(|error| {
            Error::Content(format!("the message is not as expected: {error}: {text}"))
        })
    }

    /// Receives the close, before any further message.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] when a message comes first; [`Error::Violation`], [`Error::Disconnected`] and
    /// [`Error::TimedOut`].
    pub async fn closed(&mut self) -> Result<WebSocketClose, Error> {
        match self.read("the close").await? {
            Inbound::Close(close) => Ok(close),
            Inbound::Message(message) => Err(Error::Unexpected(message)),
        }
    }

    /// Closes the WebSocket with a code and a reason.
    ///
    /// The application receives the messages that were sent before, and then `websocket.disconnect`
    /// (rules `WS-20` and `WS-21`).
    pub fn close(&self, close: WebSocketClose) {
        self.disconnect_with(WebSocketDisconnect::new(close.code).reason(close.reason));
    }

    /// Drops the client's connection: the application receives `websocket.disconnect` with 1006.
    pub fn disconnect(&self) {
        self.disconnect_with(WebSocketDisconnect::new(1006));
    }

    fn disconnect_with(&self, disconnect: WebSocketDisconnect) {
        self.mailbox.disconnect_with(disconnect);
        self.exchange.disconnect();
    }

    async fn read(&mut self, waited_for: &'static str) -> Result<Inbound, Error> {
        let inbound = poll_fn(|cx| self.poll_read(cx));
        let inbound = self.exchange.wait(waited_for, inbound).await??;
        if let Inbound::Close(close) = &inbound {
            self.exchange.check()?;
            self.close = Some(close.clone());
        }
        Ok(inbound)
    }

    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Result<Inbound, Error>> {
        match self.end() {
            Some(Error::Closed(close)) => return Poll::Ready(Ok(Inbound::Close(close))),
            Some(end) => return Poll::Ready(Err(end)),
            None => {}
        }
        let outbound = self.poll_mailbox(cx, Mailbox::poll_outbound);
        outbound.map(|outbound| {
            Ok(match outbound {
                Outbound::Message(message) => Inbound::Message(message),
                Outbound::Close(close) => Inbound::Close(close),
            })
        })
    }

    /// Returns why nothing more is sent and received.
    fn end(&self) -> Option<Error> {
        let record = &self.exchange.record;
        if record.is_disconnected() {
            return Some(Error::Disconnected);
        }
        let close = self.close.clone().or_else(|| record.closed());
        close.map(Error::Closed)
    }

    /// Polls the mailbox, which wakes one waker of the client, so that each waiting task is woken.
    fn poll_mailbox<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&Mailbox, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.waiters.add(cx.waker());
        let waker = Waker::from(self.waiters.clone());
        poll(&self.mailbox, &mut Context::from_waker(&waker))
    }
}

impl Drop for TestWebSocket {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// The tasks that wait to send or to receive.
#[derive(Debug, Default)]
struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap();
        if !wakers.iter().any(|waiting| waiting.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }
}
