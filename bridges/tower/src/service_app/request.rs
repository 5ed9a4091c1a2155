//! From a scope to a request.

use callgate::{HttpScope, State, WebSocketScope};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{Features, Request, Uri, Version};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::RequestBody;
use crate::{Background, ScopeInfo, path};

pub(super) fn of_http(
    scope: HttpScope,
    body: RequestBody,
    background: Background,
) -> Request<RequestBody> {
    let info = ScopeInfo::from(&scope);
    let mut request = Request::new(body);
    *request.method_mut() = scope.method;
    *request.version_mut() = scope.version;
    *request.headers_mut() = scope.headers;
    request.extensions_mut().insert(background);
    *request.uri_mut() = route(scope.uri, info, scope.state, request.extensions_mut());
    request
}

/// The handshake of a WebSocket as HTTP/1.1 has it, whatever version the client speaks: what serves
/// that, serves all.
pub(super) fn of_websocket(
    mut scope: WebSocketScope,
    on_upgrade: OnUpgrade,
    background: Background,
) -> Request<RequestBody> {
    let info = ScopeInfo::from(&scope);
    let mut request = Request::new(RequestBody::default());
    let headers = &mut scope.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers
        .entry(SEC_WEBSOCKET_KEY)
        .or_insert_with(|| generate_key().parse().expect("base64 is visible ASCII"));
    // Features of the framing are between the client and the server.
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = scope.headers;
    request.extensions_mut().insert(on_upgrade);
    request.extensions_mut().insert(background);
    *request.uri_mut() = route(scope.uri, info, scope.state, request.extensions_mut());
    request
}

/// Puts what a request has no field for into its extensions, and returns the target as the service
/// sees it.
fn route(uri: Uri, info: ScopeInfo, state: State, extensions: &mut Features) -> Uri {
    let below = path::below(&uri, &info.root_path);
    #[cfg(feature = "axum")]
    {
        if let Some(client) = info.client {
            extensions.insert(axum::extract::ConnectInfo(client));
        }
        if below.is_some() {
            extensions.insert(axum::extract::OriginalUri(uri.clone()));
        }
    }
    extensions.insert(state);
    extensions.insert(info);
    below.unwrap_or(uri)
}
