//! Turns the head of a request into a scope.

use callgate::{ByteString, Feature, Features, HttpScope, State, WebSocketScope};
use callgate_drive::ShutdownSignal;
use callgate_drive::head::{has_token, has_websocket_key, is_percent_encoded, join_cookies, list};
use http::header::{
    CONNECTION, COOKIE, HOST, HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE,
    UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};
use hyper::upgrade::OnUpgrade;

use crate::{ScopeInfo, Shutdown};

/// A request that the application is called for, as its scope.
pub(super) enum ParsedRequest {
    Http(Box<HttpScope>, ShutdownSignal),
    WebSocket(Box<WebSocketScope>, OnUpgrade, Option<ShutdownSignal>),
}

/// Turns the head of a request into a scope, or returns the status to reject it with (rules
/// `SCOPE-05`, `SCOPE-21`, `WS-27`, `WS-28`). `state` and `shutdown` are those of the service.
pub(super) fn parse(
    mut parts: Parts,
    mut state: State,
    shutdown: Option<ShutdownSignal>,
) -> Result<ParsedRequest, StatusCode> {
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let is_websocket = on_upgrade.is_some() && asks_for_websocket(&parts)?;
    if parts.method == Method::CONNECT && !is_websocket {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    set_host(&mut parts)?;
    if let Some(outer) = parts.extensions.remove::<State>() {
        state.extend(&outer);
    }
    let outer_shutdown = parts.extensions.remove::<Shutdown>().map(|outer| outer.0);
    let shutdown = outer_shutdown.or(shutdown);
    let (uri, root_path) = target(&parts)?;
    let (info, mut features) = match parts.extensions.remove::<ScopeInfo>() {
        Some(info) => {
            let handed_on = [Feature::ResponseTrailers, Feature::Tls].into_iter();
            let features = handed_on.filter(|it| info.features.contains(*it)).collect();
            (info, features)
        }
        None => {
            let has_trailers = has_trailers(&parts).then_some(Feature::ResponseTrailers);
            (of_connection(&parts), has_trailers.into_iter().collect())
        }
    };
    let mut scope = HttpScope::from_parts(parts);
    scope.uri = uri;
    scope.scheme = info.scheme;
    scope.root_path = root_path;
    scope.client = info.client;
    scope.server = info.server;
    scope.state = state;
    scope.tls = info.tls;
    if is_websocket && let Some(on_upgrade) = on_upgrade {
        let mut websocket = WebSocketScope::new(Uri::default());
        websocket.request = scope.request;
        websocket.features =
            Features::without(features, Feature::ResponseTrailers).with(Feature::DenialResponse);
        websocket.subprotocols = list(&websocket.headers, SEC_WEBSOCKET_PROTOCOL)
            .map(ByteString::from)
            .collect();
        let websocket = Box::new(websocket);
        return Ok(ParsedRequest::WebSocket(websocket, on_upgrade, shutdown));
    }
    if shutdown.is_some() {
        features = features.with(Feature::Shutdown);
    }
    scope.features = features;
    Ok(ParsedRequest::Http(
        Box::new(scope),
        shutdown.unwrap_or_default(),
    ))
}

/// Returns the connection of a request that no [`ServiceApp`](crate::ServiceApp) has created, as
/// far as it is known.
fn of_connection(parts: &Parts) -> ScopeInfo {
    let mut info = ScopeInfo::default();
    if parts.uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
        info.scheme = callgate::Scheme::Https;
    }
    #[cfg(feature = "axum")]
    {
        use axum::extract::ConnectInfo;
        let client = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
        info.client = client.map(|client| client.0);
    }
    info
}

/// Returns the target in origin form as the outermost server saw it, and the part of its path that
/// routers have removed.
fn target(parts: &Parts) -> Result<(Uri, ByteString), StatusCode> {
    let seen = parts.uri.path_and_query().ok_or(StatusCode::BAD_REQUEST)?;
    if seen.path() == "*" && parts.method == Method::OPTIONS {
        return Ok((seen.clone().into(), ByteString::new()));
    }
    if !seen.path().starts_with('/') || !is_percent_encoded(seen.path()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let prefix = original(parts).and_then(|original| {
        let path = original.path();
        match path.strip_suffix(seen.path()) {
            Some(prefix) => Some(prefix),
            // The path below a prefix is `/`, even if the client has left the `/` out.
            None if seen.path() == "/" => Some(path),
            // A layer has rewritten the path.
            None => None,
        }
    });
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else {
        return Ok((seen.clone().into(), ByteString::new()));
    };
    let whole = match seen.path() {
        "/" if original(parts).is_some_and(|original| original.path() == prefix) => {
            let query = seen.query().map(|query| format!("?{query}"));
            format!("{prefix}{}", query.unwrap_or_default())
        }
        _ => format!("{prefix}{seen}"),
    };
    let whole = PathAndQuery::try_from(whole).map_err(|_| StatusCode::URI_TOO_LONG)?;
    let root_path = HttpScope::new(Method::GET, prefix.parse().unwrap_or_default());
    Ok((whole.into(), root_path.path().as_ref().into()))
}

/// Returns the target before routers removed a part of it, if that is known.
fn original(parts: &Parts) -> Option<&Uri> {
    #[cfg(feature = "axum")]
    if let Some(original) = parts.extensions.get::<axum::extract::OriginalUri>() {
        return Some(&original.0);
    }
    parts.extensions.get::<ScopeInfo>().map(|info| &info.target)
}

/// Sets `host` to the authority of the target, if there is one (rules `SCOPE-03`,
/// `SCOPE-10`), and joins the cookies of HTTP/2 (`SCOPE-09`).
fn set_host(parts: &mut Parts) -> Result<(), StatusCode> {
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::try_from(authority.as_str());
        parts
            .headers
            .insert(HOST, host.map_err(|_| StatusCode::BAD_REQUEST)?);
    }
    let has_crumbs = parts.headers.get_all(COOKIE).iter().nth(1).is_some();
    if parts.version == Version::HTTP_2 && has_crumbs {
        join_cookies(&mut parts.headers);
    }
    Ok(())
}

/// Returns whether trailer fields of a response reach the client.
fn has_trailers(parts: &Parts) -> bool {
    parts.version >= Version::HTTP_2
        || parts.version == Version::HTTP_11 && has_token(&parts.headers, TE, "trailers")
}

/// Returns whether the request opens a WebSocket: by upgrade (RFC 6455) or by extended CONNECT (RFC 8441).
fn asks_for_websocket(parts: &Parts) -> Result<bool, StatusCode> {
    let is_extended_connect = parts
        .extensions
        .get::<hyper::ext::Protocol>()
        .is_some_and(|protocol| protocol.as_str() == "websocket");
    if !is_extended_connect {
        let is_upgrade = parts.version == Version::HTTP_11
            && parts.method == Method::GET
            && has_token(&parts.headers, UPGRADE, "websocket")
            && has_token(&parts.headers, CONNECTION, "upgrade");
        if !is_upgrade {
            return Ok(false);
        }
        if !has_websocket_key(&parts.headers) {
            return Err(StatusCode::BAD_REQUEST);
        }
    }
    match parts.headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(true),
        _ => Err(StatusCode::UPGRADE_REQUIRED),
    }
}
