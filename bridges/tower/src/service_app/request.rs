//! From a scope to a request.

use callgate::{HttpScope, State, WebSocketScope};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Extensions, Request, Uri, Version};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::RequestBody;
use crate::ScopeInfo;

pub(super) fn of_http(scope: HttpScope, body: RequestBody) -> Request<RequestBody> {
    let info = ScopeInfo::from(&scope);
    let mut request = Request::new(body);
    *request.method_mut() = scope.method;
    *request.version_mut() = scope.version;
    *request.headers_mut() = scope.headers;
    *request.uri_mut() = route(scope.uri, info, scope.state, request.extensions_mut());
    request
}

/// The handshake of a WebSocket as HTTP/1.1 has it, whatever version the client speaks: what serves
/// that, serves all.
pub(super) fn of_websocket(
    mut scope: WebSocketScope,
    on_upgrade: OnUpgrade,
) -> Request<RequestBody> {
    let info = ScopeInfo::from(&scope);
    let mut request = Request::new(RequestBody::empty());
    let headers = &mut scope.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers
        .entry(SEC_WEBSOCKET_KEY)
        .or_insert_with(|| generate_key().parse().expect("base64 is visible ASCII"));
    // Extensions of the framing are between the client and the server.
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = scope.headers;
    request.extensions_mut().insert(on_upgrade);
    *request.uri_mut() = route(scope.uri, info, scope.state, request.extensions_mut());
    request
}

/// Puts what a request has no field for into its extensions, and returns the target as the service
/// sees it.
fn route(uri: Uri, info: ScopeInfo, state: State, extensions: &mut Extensions) -> Uri {
    let below = below(&uri, &info.root_path);
    #[cfg(feature = "axum")]
    {
        if let Some(client) = info.client {
            extensions.insert(::axum::extract::ConnectInfo(client));
        }
        if below.is_some() {
            extensions.insert(::axum::extract::OriginalUri(uri.clone()));
        }
    }
    extensions.insert(state);
    extensions.insert(info);
    below.unwrap_or(uri)
}

/// The target below `root_path`, which is decoded; `None` when that is the target as it is.
fn below(uri: &Uri, root_path: &str) -> Option<Uri> {
    let root_path = root_path.trim_end_matches('/');
    if root_path.is_empty() {
        return None;
    }
    let path = strip_decoded(uri.path(), root_path.as_bytes())?;
    let path = match path.as_bytes() {
        [] => "/",
        [b'/', ..] => path,
        _ => return None,
    };
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    target.ok().map(Uri::from)
}

/// What is left of the percent-encoded `path` behind `prefix`, which is decoded.
fn strip_decoded<'a>(path: &'a str, prefix: &[u8]) -> Option<&'a str> {
    let mut rest = path;
    for &wanted in prefix {
        let (octet, length) = match rest.as_bytes() {
            [b'%', high, low, ..] => (decoded(*high, *low)?, 3),
            [octet, ..] => (*octet, 1),
            [] => return None,
        };
        if octet != wanted {
            return None;
        }
        rest = rest.get(length..)?;
    }
    Some(rest)
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_path_is_taken_off_the_target_as_it_was_encoded() {
        for (target, root_path, seen) in [
            ("/api/users?page=1", "/api", Some("/users?page=1")),
            ("/api", "/api", Some("/")),
            ("/api?x", "/api/", Some("/?x")),
            ("/%61pi/a%2Fb", "/api", Some("/a%2Fb")),
            ("/caf%C3%A9/x", "/café", Some("/x")),
            ("/apiary", "/api", None),
            ("/api%2Fx", "/api", None),
            ("/other", "/api", None),
            ("/", "/api", None),
            ("/users", "", None),
            ("*", "/api", None),
        ] {
            let below = below(&target.parse().unwrap(), root_path);
            let seen = seen.map(|seen| seen.parse().unwrap());
            assert_eq!(below, seen, "{target} below {root_path}");
        }
    }
}
