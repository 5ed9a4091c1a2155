//! The client's end of a WebSocket.

use std::fmt;
use std::future::poll_fn;

use bytes::Bytes;
use callgate::{
    ByteString, Message, WebSocketAccept, WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, Uri, Version};

use super::body::{Body, RequestBody};
use super::cookies::Origin;
use super::error::Error;
use super::exchange::Exchange;
use super::link::{Link, Protocol};
use super::websocket_state::{Answer, Reading, WebSocketState};
use super::{Edit, TestClient, scope};
use callgate::transcript::Entry;

/// A WebSocket that has not been opened. Made by [`TestClient::websocket`].
#[must_use = "a WebSocket is opened by `connect`"]
pub struct WebSocketBuilder<'a> {
    client: &'a TestClient,
    request: Request<()>,
    subprotocols: Vec<ByteString>,
    edits: Vec<Edit<'a, WebSocketScope>>,
    is_gone: bool,
}

impl<'a> WebSocketBuilder<'a> {
    pub(super) fn new(client: &'a TestClient, uri: Uri) -> Self {
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.version_mut() = client.settings.version;
        Self {
            client,
            request,
            subprotocols: Vec::new(),
            edits: Vec::new(),
            is_gone: false,
        }
    }

    /// Adds a header field to the handshake.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        let name = name.try_into().expect("a valid header name");
        let value = value.try_into().expect("a valid header value");
        self.request.headers_mut().append(name, value);
        self
    }

    /// Offers these subprotocols, the best first.
    pub fn subprotocols<I>(mut self, subprotocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ByteString>,
    {
        self.subprotocols
            .extend(subprotocols.into_iter().map(Into::into));
        self
    }

    /// Over this version of HTTP. Default: the client's.
    pub fn version(mut self, version: Version) -> Self {
        *self.request.version_mut() = version;
        self
    }

    /// Changes the scope, last of all, in any way that a server might.
    pub fn with_scope(mut self, edit: impl FnOnce(&mut WebSocketScope) + Send + 'a) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// The client has gone away before the application is called.
    pub fn gone(mut self) -> Self {
        self.is_gone = true;
        self
    }

    /// Opens the WebSocket.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the response in place of a WebSocket: 403 when the application
    /// refused, its own when it denied. [`Error::Cut`] when a denial response was cut;
    /// [`Error::Gone`] and [`Error::TimedOut`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn connect(self) -> Result<WebSocket, Error> {
        self.start().accepted().await
    }

    /// Begins to open it, and returns at once.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    #[must_use]
    pub fn start(self) -> Connecting {
        let settings = &self.client.settings;
        let (parts, ()) = self.request.into_parts();
        let version = parts.version;
        let body = RequestBody::new(Body::empty());
        match scope::websocket(settings, parts, self.subprotocols) {
            Ok(mut scope) => {
                let url = scope::url(scope.scheme, &scope.headers, &scope.uri);
                let origin = Origin::new(settings, url);
                origin.add_cookies(&mut scope.headers);
                for edit in self.edits {
                    edit(&mut scope);
                }
                let state = WebSocketState::new(&scope, settings.bound);
                let link = Link::new(Protocol::WebSocket(state), body);
                let exchange = self.client.exchange(link);
                if self.is_gone {
                    exchange.disconnect();
                }
                self.client.call(&exchange, scope.into());
                Connecting {
                    exchange,
                    version,
                    origin,
                }
            }
            Err(status) => {
                let scope = WebSocketScope::new(Uri::default());
                let mut state = WebSocketState::new(&scope, 0);
                state.refuse(status);
                let link = Link::new(Protocol::WebSocket(state), body);
                link.change(|state| {
                    let note = format!("the server answered with {status}");
                    state.transcript.push(Entry::Note(note));
                    state.outcome = Some(Ok(()));
                });
                let exchange = self.client.exchange(link);
                Connecting {
                    exchange,
                    version,
                    origin: Origin::default(),
                }
            }
        }
    }
}

impl fmt::Debug for WebSocketBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// A handshake that has been sent, and whose answer has not been looked at.
#[derive(Debug)]
pub struct Connecting {
    exchange: Exchange,
    version: Version,
    origin: Origin,
}

impl Connecting {
    /// The exchange, to disconnect from it for example.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Waits until the WebSocket is accepted.
    ///
    /// # Errors
    ///
    /// As [`WebSocketBuilder::connect`].
    pub async fn accepted(self) -> Result<WebSocket, Error> {
        let link = &self.exchange.link;
        let answer = poll_fn(|cx| link.poll_take(cx, |state| state.websocket()?.take_answer()));
        let waiting = self.exchange.wait("an answer to the handshake", answer);
        match waiting.await.inspect_err(|_| self.exchange.disconnect())? {
            Answer::Accept(accept) => {
                self.origin.keep_cookies(&accept.headers);
                Ok(WebSocket {
                    accept,
                    exchange: self.exchange,
                })
            }
            Answer::Response(start, content, is_whole) => {
                self.origin.keep_cookies(&start.headers);
                let mut response = Response::new(content);
                *response.status_mut() = start.status;
                *response.headers_mut() = start.headers;
                *response.version_mut() = self.version;
                response.extensions_mut().insert(self.exchange);
                Err(if is_whole {
                    Error::Refused(response.into())
                } else {
                    Error::Cut(response.into())
                })
            }
            Answer::Gone => Err(Error::Gone),
        }
    }
}

/// The client's end of an open WebSocket. Dropped, the connection is lost (1006).
#[derive(Debug)]
pub struct WebSocket {
    accept: WebSocketAccept,
    exchange: Exchange,
}

impl WebSocket {
    /// The subprotocol that the application chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.accept.subprotocol.as_deref()
    }

    /// The header fields that the application accepted with.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.accept.headers
    }

    /// The exchange.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Sends a message, once there is room for it (see [`TestClient::bound`]).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Gone`] and [`Error::TimedOut`].
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        let link = &self.exchange.link;
        let sent =
            poll_fn(|cx| link.poll_take(cx, |state| state.websocket()?.deliver(&mut message)));
        let sent = self.exchange.wait("room for a message", sent).await?;
        sent.map_err(ended)
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
    pub async fn send_binary(&self, octets: impl Into<Bytes>) -> Result<(), Error> {
        self.send(Message::binary(octets)).await
    }

    /// The next message. While nobody receives, the application's sends stay pending once the
    /// client's bound is reached.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the last one; [`Error::Gone`] and [`Error::TimedOut`].
    pub async fn receive(&mut self) -> Result<Message, Error> {
        match self.read("a message").await? {
            Reading::Message(message) => Ok(message),
            end => Err(ended(end)),
        }
    }

    /// The next message, which is a text.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] when it is not; as [`receive`](Self::receive).
    pub async fn text(&mut self) -> Result<ByteString, Error> {
        match self.receive().await? {
            Message::Text(text) => Ok(text),
            other => Err(Error::Unexpected(other)),
        }
    }

    /// The next message, which is a text, read as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] when it is not; as [`text`](Self::text).
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        let text = self.text().await?;
        serde_json::from_str(&text).map_err(|error| {
            Error::Content(format!("the message is not as expected: {error}: {text}"))
        })
    }

    /// Waits for the close, which is the next that comes.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] when it is not; [`Error::Gone`] and [`Error::TimedOut`].
    pub async fn closed(&mut self) -> Result<WebSocketClose, Error> {
        match self.read("the close").await? {
            Reading::Close(close) => Ok(close),
            Reading::Message(message) => Err(Error::Unexpected(message)),
            Reading::Gone => Err(Error::Gone),
        }
    }

    /// Closes it from this end, with a code and a reason.
    ///
    /// The application receives what was sent before, and then `websocket.disconnect` (rules
    /// `WS-20` and `WS-21`).
    pub fn close(&self, close: WebSocketClose) {
        self.leave(WebSocketDisconnect::new(close.code).reason(close.reason));
    }

    /// Loses the connection: `websocket.disconnect` with 1006.
    pub fn disconnect(&self) {
        self.exchange.disconnect();
    }

    fn leave(&self, disconnect: WebSocketDisconnect) {
        self.exchange.link.change(|state| {
            if let Some(websocket) = state.websocket() {
                websocket.disconnect(disconnect);
            }
        });
    }

    async fn read(&mut self, waited_for: &'static str) -> Result<Reading, Error> {
        let link = &self.exchange.link;
        let reading = poll_fn(|cx| link.poll_take(cx, |state| state.websocket()?.read()));
        self.exchange.wait(waited_for, reading).await
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.disconnect();
    }
}

fn ended(reading: Reading) -> Error {
    match reading {
        Reading::Message(message) => Error::Unexpected(message),
        Reading::Close(close) => Error::Closed(close),
        Reading::Gone => Error::Gone,
    }
}
