//! What a scope says that a request cannot.

use std::net::SocketAddr;
use std::sync::Arc;

use callgate::{ByteString, Features, HttpScope, Scheme, TlsInfo, WebSocketScope};
use http::Uri;

/// What a scope says of an exchange that an [`http::Request`] has no field for, apart from its
/// [`State`](callgate::State). Each request that [`ServiceApp`](crate::ServiceApp) makes has both in
/// its extensions; [`AppService`](crate::AppService) takes them from there again.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScopeInfo {
    /// The target as the server saw it, with the root path.
    pub target: Uri,
    /// Whether the connection is secured.
    pub scheme: Scheme,
    /// Where the application is mounted, decoded: `""` at the root, else `/prefix`.
    pub root_path: ByteString,
    /// The address of the client, when the transport has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, when the transport has one.
    pub server: Option<SocketAddr>,
    /// The optional features that the server offers on this exchange.
    pub extensions: Features,
    /// How the connection is secured.
    pub tls: Option<Arc<TlsInfo>>,
}

impl From<&HttpScope> for ScopeInfo {
    fn from(scope: &HttpScope) -> Self {
        Self {
            target: scope.uri.clone(),
            scheme: scope.scheme,
            root_path: scope.root_path.clone(),
            client: scope.client,
            server: scope.server,
            extensions: scope.features,
            tls: scope.tls.clone(),
        }
    }
}

impl From<&WebSocketScope> for ScopeInfo {
    fn from(scope: &WebSocketScope) -> Self {
        Self {
            target: scope.uri.clone(),
            scheme: scope.scheme,
            root_path: scope.root_path.clone(),
            client: scope.client,
            server: scope.server,
            extensions: scope.features,
            tls: scope.tls.clone(),
        }
    }
}
