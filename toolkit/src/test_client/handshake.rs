//! The handshake of a WebSocket.

use std::fmt;

use callgate::{ByteString, WebSocketScope, header_methods};
use callgate_drive::ResponseBody;
use callgate_drive::websocket::HandshakeResponse;
use http::{Request, Response, Uri, Version};
use tokio::sync::oneshot;

use super::cookies::Origin;
use super::error::Error;
use super::exchange::TestExchange;
use super::response::{Streaming, whole};
use super::scope::{self, Edit};
use super::server::{HandshakeReply, Server, http_response, replacement};
use super::websocket::TestWebSocket;

/// A handshake that is not sent. Created by
/// [`TestClient::websocket`](super::TestClient::websocket).
#[must_use = "a WebSocket is opened by `connect`"]
pub struct WebSocketBuilder<'a> {
    server: &'a Server,
    request: Request<()>,
    subprotocols: Vec<ByteString>,
    edits: Vec<Edit<'a, WebSocketScope>>,
    is_disconnected: bool,
}

impl<'a> WebSocketBuilder<'a> {
    pub(super) fn new(server: &'a Server, uri: Uri) -> Self {
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.version_mut() = server.settings.version;
        Self {
            server,
            request,
            subprotocols: Vec::new(),
            edits: Vec::new(),
            is_disconnected: false,
        }
    }

    header_methods!(builder => builder.request.headers_mut());

    /// Offers subprotocols, in the order of preference.
    pub fn subprotocols<I>(mut self, subprotocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ByteString>,
    {
        self.subprotocols
            .extend(subprotocols.into_iter().map(Into::into));
        self
    }

    /// Sets the version of HTTP. Default: the client's.
    pub fn version(mut self, version: Version) -> Self {
        *self.request.version_mut() = version;
        self
    }

    /// Changes the scope, after everything else.
    pub fn with_scope(mut self, edit: impl FnOnce(&mut WebSocketScope) + Send + 'a) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// Disconnects the client before the application is called.
    pub fn disconnected(mut self) -> Self {
        self.is_disconnected = true;
        self
    }

    /// Opens the WebSocket.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the response to a handshake that is not accepted;
    /// [`Error::Violation`]; [`Error::Cut`] when a denial response was cut; [`Error::Disconnected`] and
    /// [`Error::TimedOut`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn connect(self) -> Result<TestWebSocket, Error> {
        self.start().accepted().await
    }

    /// Sends the handshake and returns at once.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    #[must_use]
    pub fn start(self) -> Connecting {
        let settings = &self.server.settings;
        let (parts, ()) = self.request.into_parts();
        let version = parts.version;
        match scope::websocket(settings, parts, self.subprotocols) {
            Ok(mut scope) => {
                let url = scope::url(scope.scheme, &scope.headers, &scope.uri);
                let origin = Origin::new(settings, url);
                origin.add_cookies(&mut scope.headers);
                for edit in self.edits {
                    edit(&mut scope);
                }
                let (exchange, reply) = self.server.websocket(scope, self.is_disconnected);
                Connecting {
                    exchange,
                    reply: Ok(reply),
                    version,
                    origin,
                }
            }
            Err(status) => Connecting {
                exchange: self.server.rejected(status),
                reply: Err(Box::new(replacement(status, version))),
                version,
                origin: Origin::default(),
            },
        }
    }
}

impl fmt::Debug for WebSocketBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// A handshake that has been sent, and whose response a test has not taken.
///
/// When this is dropped, the client disconnects.
#[derive(Debug)]
pub struct Connecting {
    exchange: TestExchange,
    /// The server's own response to a handshake that does not reach the application is an error.
    reply: Result<oneshot::Receiver<HandshakeReply>, Box<Response<ResponseBody>>>,
    version: Version,
    origin: Origin,
}

impl Connecting {
    /// Returns the exchange, to disconnect from it for example.
    #[must_use]
    pub fn exchange(&self) -> &TestExchange {
        &self.exchange
    }

    /// Waits until the WebSocket is accepted.
    ///
    /// # Errors
    ///
    /// As [`WebSocketBuilder::connect`].
    pub async fn accepted(self) -> Result<TestWebSocket, Error> {
        let refusal = match self.reply {
            Err(rejection) => *rejection,
            Ok(reply) => {
                let reply = self
                    .exchange
                    .wait("a response to the handshake", reply)
                    .await?;
                let (reply, mailbox) = reply.map_err(|_| Error::Disconnected)?;
                match reply {
                    HandshakeResponse::Accept(accept) => {
                        self.origin.keep_cookies(&accept.headers);
                        return Ok(TestWebSocket::new(accept, self.exchange, mailbox));
                    }
                    HandshakeResponse::Refuse(status) => replacement(status, self.version),
                    HandshakeResponse::Deny(head, content) => {
                        http_response(head, content, self.version)
                    }
                }
            }
        };
        self.exchange.check()?;
        self.origin.keep_cookies(refusal.headers());
        let response = whole(Streaming::of(refusal, self.exchange)).await?;
        Err(Error::Refused(response.into()))
    }
}
