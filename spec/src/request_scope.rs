use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, Uri, Version};

use crate::path;
use crate::{Features, State, TlsInfo};

/// The common part of the scopes of HTTP requests and WebSockets.
///
/// Two values are equal if all fields except [`extensions`](Self::extensions) are equal: values in
/// `http::Extensions` cannot be compared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestScope {
    /// The target in origin form: path and query, or `*` (rules `SCOPE-02` to `SCOPE-04`).
    pub uri: Uri,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2. A WebSocket over HTTP/2 is an extended CONNECT (RFC 8441).
    pub version: Version,
    /// The header fields. Repeated fields are in the order received.
    pub headers: HeaderMap,
    /// The scheme, which tells whether the connection is secured.
    pub scheme: Scheme,
    /// The decoded path at which the application is mounted: `""` at the root, otherwise `/prefix`.
    pub root_path: ByteString,
    /// The address of the client, if the transport has addresses.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, if the transport has addresses.
    pub server: Option<SocketAddr>,
    /// The state from lifespan start-up, which all exchanges share and no exchange changes.
    pub state: State,
    /// The optional features that the server offers on this exchange.
    pub features: Features,
    /// Values that belong to this exchange. The transport or a middleware inserts values, and the
    /// applications that receive the scope read them (rule `SCOPE-18`). Extensions have no
    /// serialised form.
    pub extensions: http::Extensions,
    /// The security of the connection. Present if [`Feature::Tls`](crate::Feature::Tls) is offered.
    pub tls: Option<Arc<TlsInfo>>,
}

impl RequestScope {
    /// Creates a scope with this target. The version is HTTP/1.1, the scheme is [`Scheme::Http`],
    /// and all other fields are empty.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            ..Self::default()
        }
    }

    /// Returns the complete path, decoded (rule `SCOPE-06`). Each call decodes the path.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        path::decode(self.raw_path())
    }

    /// Returns the decoded path below [`root_path`](Self::root_path), by which an application
    /// routes. Returns `/` at the mount point itself. Returns the complete path if the path is not
    /// below the root path.
    #[must_use]
    pub fn route_path(&self) -> Cow<'_, str> {
        path::below(self.path(), &self.root_path)
    }

    /// Returns the percent-encoded path, as in [`uri`](Self::uri).
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.uri.path()
    }

    /// Returns the query as received, without the `?`. Returns an empty text if there is no query.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

impl PartialEq for RequestScope {
    fn eq(&self, other: &Self) -> bool {
        // The pattern lists every field, so that the compiler rejects a new field that is missing
        // here.
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

/// The scheme of a connection: secured or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Scheme {
    /// Not secured: `http`, or `ws` for a WebSocket.
    #[default]
    Http,
    /// Secured by TLS: `https`, or `wss` for a WebSocket.
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
