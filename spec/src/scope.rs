use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, Method, Uri, Version, request};

use crate::path;
use crate::{Features, State, TlsInfo};

/// What an exchange is: all that is known when the application is called.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type", rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Scope {
    /// One HTTP request and its response.
    Http(Box<HttpScope>),
    /// One WebSocket, from its handshake to its end.
    WebSocket(Box<WebSocketScope>),
    /// The server's own life: start-up and shutdown.
    Lifespan(LifespanScope),
    /// A kind that this version of the protocol does not know, by its name. Servers of a later
    /// version make it, and checks that an application declines it (rule `CORE-02`). It has no
    /// serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    Unknown(ByteString),
}

impl Scope {
    /// The name of this kind of scope, as in ASGI: `http`, `websocket` or `lifespan`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Http(_) => "http",
            Self::WebSocket(_) => "websocket",
            Self::Lifespan(_) => "lifespan",
            Self::Unknown(name) => name,
        }
    }

    /// The request's target; none for lifespan.
    #[must_use]
    pub fn uri(&self) -> Option<&Uri> {
        match self {
            Self::Http(scope) => Some(&scope.uri),
            Self::WebSocket(scope) => Some(&scope.uri),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// The request's headers; none for lifespan.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Http(scope) => Some(&scope.headers),
            Self::WebSocket(scope) => Some(&scope.headers),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// Where the application is mounted; none for lifespan.
    #[must_use]
    pub fn root_path(&self) -> Option<&ByteString> {
        match self {
            Self::Http(scope) => Some(&scope.root_path),
            Self::WebSocket(scope) => Some(&scope.root_path),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// The decoded path below [`root_path`](Self::root_path); none for lifespan.
    #[must_use]
    pub fn route_path(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Http(scope) => Some(scope.route_path()),
            Self::WebSocket(scope) => Some(scope.route_path()),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// Says that the application called next is mounted at `root_path`, which is decoded and whole:
    /// the old one and the prefix (rule `SCOPE-16`). Lifespan has no root path and stays as it is.
    pub fn set_root_path(&mut self, root_path: impl Into<ByteString>) {
        match self {
            Self::Http(scope) => scope.root_path = root_path.into(),
            Self::WebSocket(scope) => scope.root_path = root_path.into(),
            Self::Lifespan(_) | Self::Unknown(_) => {}
        }
    }

    /// The state shared with lifespan; none for lifespan itself, which makes it.
    pub fn state_mut(&mut self) -> Option<&mut State> {
        match self {
            Self::Http(scope) => Some(&mut scope.state),
            Self::WebSocket(scope) => Some(&mut scope.state),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }
}

/// How the client reached the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Scheme {
    /// In the clear: `http`, or `ws` for a WebSocket.
    #[default]
    Http,
    /// Over TLS: `https`, or `wss` for a WebSocket.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// `ws` or `wss`.
    #[must_use]
    pub const fn as_websocket_str(self) -> &'static str {
        match self {
            Self::Http => "ws",
            Self::Https => "wss",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scope of one HTTP request.
///
/// Made by servers and test clients with [`HttpScope::new`]; every field can be set afterwards.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpScope {
    /// The method, exactly as received.
    pub method: Method,
    /// The target in origin form: path and query, or `*` (rules `SCOPE-02` to `SCOPE-04`).
    pub uri: Uri,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The header fields; repeated ones in the order received.
    pub headers: HeaderMap,
    /// Whether the connection is secured.
    pub scheme: Scheme,
    /// Where the application is mounted, decoded: `""` at the root, else `/prefix`.
    pub root_path: ByteString,
    /// The address of the client, when the transport has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, when the transport has one.
    pub server: Option<SocketAddr>,
    /// What lifespan set up.
    pub state: State,
    /// The optional features offered on this exchange.
    pub features: Features,
    /// How the connection is secured; there when [`Feature::Tls`](crate::Feature::Tls) is offered.
    pub tls: Option<Arc<TlsInfo>>,
}

impl HttpScope {
    /// A scope with this method and target, and all else empty: HTTP/1.1, no headers, no addresses.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            scheme: Scheme::Http,
            root_path: ByteString::new(),
            client: None,
            server: None,
            state: State::new(),
            features: Features::NONE,
            tls: None,
        }
    }

    /// The scope of a request with this head, and all else empty. The fields move; what the head has
    /// in `features` is left out.
    ///
    /// The target must be in origin form: it is taken as it is.
    ///
    /// ```
    /// use callgate::HttpScope;
    ///
    /// let request = http::Request::put("/orders/7?draft").body(()).unwrap();
    /// let scope = HttpScope::from_parts(request.into_parts().0);
    /// assert_eq!((scope.path().as_ref(), scope.query()), ("/orders/7", "draft"));
    /// ```
    #[must_use]
    #[inline]
    pub fn from_parts(head: request::Parts) -> Self {
        Self {
            method: head.method,
            uri: head.uri,
            version: head.version,
            headers: head.headers,
            scheme: Scheme::Http,
            root_path: ByteString::new(),
            client: None,
            server: None,
            state: State::new(),
            features: Features::NONE,
            tls: None,
        }
    }

    /// The whole path, decoded (rule `SCOPE-06`). Decoding happens here, when asked for.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        path::decode(self.raw_path())
    }

    /// The path below [`root_path`](Self::root_path), decoded: what an application routes by. `/`
    /// at the mount point itself; the whole path when it is not below the root path.
    #[must_use]
    pub fn route_path(&self) -> Cow<'_, str> {
        path::below(self.path(), &self.root_path)
    }

    /// The path as received, percent-encoded.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.uri.path()
    }

    /// The query as received, without the `?`; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

/// The scope of one WebSocket.
///
/// Made by servers and test clients with [`WebSocketScope::new`]; every field can be set afterwards.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebSocketScope {
    /// The target in origin form: path and query.
    pub uri: Uri,
    /// HTTP/1.1, or HTTP/2 for a WebSocket over extended CONNECT (RFC 8441).
    pub version: Version,
    /// The header fields of the handshake.
    pub headers: HeaderMap,
    /// Whether the connection is secured.
    pub scheme: Scheme,
    /// Where the application is mounted, decoded: `""` at the root, else `/prefix`.
    pub root_path: ByteString,
    /// The subprotocols that the client offers, in its order of preference.
    pub subprotocols: Vec<ByteString>,
    /// The address of the client, when the transport has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, when the transport has one.
    pub server: Option<SocketAddr>,
    /// What lifespan set up.
    pub state: State,
    /// The optional features offered on this exchange.
    pub features: Features,
    /// How the connection is secured; there when [`Feature::Tls`](crate::Feature::Tls) is offered.
    pub tls: Option<Arc<TlsInfo>>,
}

impl WebSocketScope {
    /// A scope with this target, and all else empty: HTTP/1.1, no headers, no subprotocols.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            scheme: Scheme::Http,
            root_path: ByteString::new(),
            subprotocols: Vec::new(),
            client: None,
            server: None,
            state: State::new(),
            features: Features::NONE,
            tls: None,
        }
    }

    /// The whole path, decoded (rule `SCOPE-06`).
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        path::decode(self.raw_path())
    }

    /// The path below [`root_path`](Self::root_path), decoded, as [`HttpScope::route_path`].
    #[must_use]
    pub fn route_path(&self) -> Cow<'_, str> {
        path::below(self.path(), &self.root_path)
    }

    /// The path as received, percent-encoded.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.uri.path()
    }

    /// The query as received, without the `?`; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

/// The scope of the server's own life. It says nothing but that; what start-up makes is handed over
/// with [`LifespanStartupComplete`](crate::LifespanStartupComplete).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LifespanScope {}

impl LifespanScope {
    /// The scope of a server's life.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl From<HttpScope> for Scope {
    fn from(scope: HttpScope) -> Self {
        Self::Http(Box::new(scope))
    }
}

impl From<Box<HttpScope>> for Scope {
    fn from(scope: Box<HttpScope>) -> Self {
        Self::Http(scope)
    }
}

impl From<WebSocketScope> for Scope {
    fn from(scope: WebSocketScope) -> Self {
        Self::WebSocket(Box::new(scope))
    }
}

impl From<Box<WebSocketScope>> for Scope {
    fn from(scope: Box<WebSocketScope>) -> Self {
        Self::WebSocket(scope)
    }
}

impl From<LifespanScope> for Scope {
    fn from(scope: LifespanScope) -> Self {
        Self::Lifespan(scope)
    }
}
