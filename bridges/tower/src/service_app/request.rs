//! Creates the request that a service sees from a scope.

use callgate::{HttpScope, RequestScope, WebSocketScope};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{Request, Version};
use hyper::upgrade::OnUpgrade;
use tungstenite::handshake::client::generate_key;

use super::RequestBody;
use crate::{Background, ScopeInfo, Shutdown, path};

pub(super) fn of_http(
    scope: HttpScope,
    body: RequestBody,
    background: Background,
    shutdown: Option<Shutdown>,
) -> Request<RequestBody> {
    let HttpScope {
        method,
        request: scope,
        ..
    } = scope;
    let version = scope.version;
    let mut request = of_scope(scope, body);
    *request.method_mut() = method;
    *request.version_mut() = version;
    request.extensions_mut().insert(background);
    if let Some(shutdown) = shutdown {
        request.extensions_mut().insert(shutdown);
    }
    request
}

/// Creates a handshake of HTTP/1.1, whatever version the client speaks: a service needs to know
/// only this one.
pub(super) fn of_websocket(
    scope: WebSocketScope,
    on_upgrade: OnUpgrade,
    background: Background,
) -> Request<RequestBody> {
    let mut request = of_scope(scope.request, RequestBody::default());
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers
        .entry(SEC_WEBSOCKET_KEY)
        .or_insert_with(|| generate_key().parse().expect("base64 is visible ASCII"));
    // Extensions of WebSocket are between the client and the server.
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    request.extensions_mut().insert(on_upgrade);
    request.extensions_mut().insert(background);
    request
}

/// Creates a request with the target below the root path. Its extensions are those of the scope,
/// with the parts of the scope that a request has no field for.
fn of_scope(mut scope: RequestScope, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.extensions_mut() = std::mem::take(&mut scope.extensions);
    let info = ScopeInfo::from(&scope);
    let below = path::below(&scope.uri, &scope.root_path);
    let extensions = request.extensions_mut();
    #[cfg(feature = "axum")]
    {
        if let Some(client) = info.client {
            extensions.insert(axum::extract::ConnectInfo(client));
        }
        if below.is_some() {
            extensions.insert(axum::extract::OriginalUri(scope.uri.clone()));
        }
    }
    extensions.insert(scope.state);
    extensions.insert(info);
    *request.uri_mut() = below.unwrap_or(scope.uri);
    *request.headers_mut() = scope.headers;
    request
}
