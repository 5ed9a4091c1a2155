//! The part of a scope that a request has no field for.

use std::net::SocketAddr;
use std::sync::Arc;

use callgate::{ByteString, Features, RequestScope, Scheme, TlsInfo};
use http::Uri;

/// The part of a scope that an [`http::Request`] has no field for, apart from its
/// [`State`](callgate::State).
///
/// Each request that [`ServiceApp`](crate::ServiceApp) creates has a `ScopeInfo` and the `State` in
/// its extensions; [`AppService`](crate::AppService) takes both from there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScopeInfo {
    /// The target as the server saw it, with the root path.
    pub target: Uri,
    /// The scheme, which tells whether the connection is secured.
    pub scheme: Scheme,
    /// The path at which the application is mounted, decoded: `""` at the root, else `/prefix`.
    pub root_path: ByteString,
    /// The address of the client, when the transport has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to, when the transport has one.
    pub server: Option<SocketAddr>,
    /// The optional features that the server offers on this exchange.
    pub features: Features,
    /// The properties of the TLS connection, if there is one.
    pub tls: Option<Arc<TlsInfo>>,
}

impl From<&RequestScope> for ScopeInfo {
    fn from(scope: &RequestScope) -> Self {
        Self {
            target: scope.uri.clone(),
            scheme: scope.scheme,
            root_path: scope.root_path.clone(),
            client: scope.client,
            server: scope.server,
            features: scope.features,
            tls: scope.tls.clone(),
        }
    }
}
