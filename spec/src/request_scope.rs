use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, Uri, Version};

use crate::path;
use crate::{Features, State, TlsInfo};

/// What the scopes of HTTP requests and of WebSockets have in common.
///
/// Two of them are equal when all fields but [`extensions`](Self::extensions) are: values in
/// `http::Extensions` cannot be compared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestScope {
    /// The target in origin form: path and query, or `*` (rules `SCOPE-02` to `SCOPE-04`).
    pub uri: Uri,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2. A WebSocket over HTTP/2 is an extended CONNECT (RFC 8441).
    pub version: Version,
    /// The header fields; repeated ones in the order received.
    pub headers: HeaderMap,
    /// Whether the connection is secured.
    pub scheme: Scheme,
    /// The path at which the application is mounted, decoded: `""` at the root, else `/prefix`.
    pub root_path: ByteString,
    /// The address of the client, when the transport has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, when the transport has one.
    pub server: Option<SocketAddr>,
    /// The state that lifespan start-up handed over: shared by all exchanges and read-only.
    pub state: State,
    /// The optional features that the server offers on this exchange.
    pub features: Features,
    /// Values that travel with this exchange: set by the transport or by a middleware, and seen by
    /// the applications that the scope is passed to (rule `SCOPE-18`). They have no serialised form.
    pub extensions: http::Extensions,
    /// How the connection is secured; present when [`Feature::Tls`](crate::Feature::Tls) is offered.
    pub tls: Option<Arc<TlsInfo>>,
}

impl RequestScope {
    /// Creates a scope with this target, and all else empty: HTTP/1.1, no headers, no addresses.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            ..Self::default()
        }
    }

    /// Returns the whole path, decoded (rule `SCOPE-06`). The path is decoded at each call.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        path::decode(self.raw_path())
    }

    /// Returns the path below [`root_path`](Self::root_path), decoded: what an application routes
    /// by. Returns `/` at the mount point itself, and the whole path when it does not begin with the
    /// root path.
    #[must_use]
    pub fn route_path(&self) -> Cow<'_, str> {
        path::below(self.path(), &self.root_path)
    }

    /// Returns the path as received, percent-encoded.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.uri.path()
    }

    /// Returns the query as received, without the `?`; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

impl PartialEq for RequestScope {
    fn eq(&self, other: &Self) -> bool {
        // Every field is named, so that a new one is not forgotten here.
        let Self {
            uri,
            version,
            headers,
            scheme,
            root_path,
            client,
            server,
            state,
            features,
            extensions: _,
            tls,
        } = self;
        *uri == other.uri
            && *version == other.version
            && *headers == other.headers
            && *scheme == other.scheme
            && *root_path == other.root_path
            && *client == other.client
            && *server == other.server
            && *state == other.state
            && *features == other.features
            && *tls == other.tls
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
    /// Returns `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns `ws` or `wss`.
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
