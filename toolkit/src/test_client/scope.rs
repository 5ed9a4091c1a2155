//! The scope of a request, as a server makes it.

use callgate::{ByteString, Feature, Features, HttpScope, RequestScope, Scheme, WebSocketScope};
use callgate_drive::head;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use url::Url;

use super::settings::Settings;

/// A change of a scope by a test.
pub(super) type Edit<'a, S> = Box<dyn FnOnce(&mut S) + Send + 'a>;

/// Returns the scope of a request, with the root path in front of its target; or the status with which
/// a server rejects the request.
pub(super) fn http(
    settings: &Settings,
    root_path: &str,
    mut parts: Parts,
    length: Option<usize>,
) -> Result<HttpScope, StatusCode> {
    if parts.method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let is_asterisk = parts.uri.path() == "*" && parts.method == Method::OPTIONS;
    let mut scope = HttpScope::new(parts.method.clone(), Uri::default());
    scope.uri = target(root_path, &parts.uri, is_asterisk)?;
    name_host(&mut parts.headers, &parts.uri)?;
    frame(&mut parts.headers, parts.version, length);
    scope.features = offered(settings, parts.version, &parts.headers);
    fill(&mut scope, settings, parts);
    Ok(scope)
}

/// Returns the scope of a handshake, or the status with which a server rejects the handshake.
pub(super) fn websocket(
    settings: &Settings,
    mut parts: Parts,
    subprotocols: Vec<ByteString>,
) -> Result<WebSocketScope, StatusCode> {
    let mut scope = WebSocketScope::new(target(&settings.root_path, &parts.uri, false)?);
    settings.add_headers(&mut parts.headers);
    name_host(&mut parts.headers, &parts.uri)?;
    if parts.version == Version::HTTP_11 {
        for (name, value) in HANDSHAKE {
            let value = HeaderValue::from_static(value);
            parts.headers.entry(name).or_insert(value);
        }
    }
    if !subprotocols.is_empty() {
        let offered = HeaderValue::try_from(subprotocols.join(", "));
        let offered = offered.map_err(|_| StatusCode::BAD_REQUEST)?;
        parts.headers.insert("sec-websocket-protocol", offered);
    }
    scope.subprotocols = subprotocols;
    if settings.features.contains(Feature::DenialResponse) {
        scope.features = Features::NONE.with(Feature::DenialResponse);
    }
    fill(&mut scope, settings, parts);
    Ok(scope)
}

/// Fills in what requests and handshakes have in common.
fn fill(scope: &mut RequestScope, settings: &Settings, parts: Parts) {
    scope.version = parts.version;
    scope.scheme = scheme(settings, &parts.uri);
    scope.headers = parts.headers;
    scope.extensions = parts.extensions;
    scope.root_path = settings.root_path.clone();
    scope.client = settings.client;
    scope.server = settings.server;
    scope.state = settings.state.clone();
}

/// Returns the URL of a request (of the fetch standard), which cookies and redirects depend on; `None`
/// when a URL cannot have the host of the request.
pub(super) fn url(scheme: Scheme, headers: &HeaderMap, target: &Uri) -> Option<Url> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    url.set_path(target.path());
    url.set_query(target.query());
    Some(url)
}

/// The fields of a browser's handshake, with the key of RFC 6455, 1.3.
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Returns the target in origin form, with the root path in front (rules `SCOPE-02` and `SCOPE-15`).
fn target(root_path: &str, uri: &Uri, is_asterisk: bool) -> Result<Uri, StatusCode> {
    let target = uri.path_and_query().ok_or(StatusCode::BAD_REQUEST)?;
    if is_asterisk {
        return Ok(target.clone().into());
    }
    if !target.path().starts_with('/') || !head::is_percent_encoded(target.path()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let target = format!("{}{target}", head::encode_path(root_path));
    target.parse().map_err(|_| StatusCode::BAD_REQUEST)
}

fn scheme(settings: &Settings, uri: &Uri) -> Scheme {
    match uri.scheme_str() {
        Some("https" | "wss") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => settings.scheme,
    }
}

/// Sets `host` to the authority of the target (rule `SCOPE-03`), or to `localhost`.
fn name_host(headers: &mut HeaderMap, uri: &Uri) -> Result<(), StatusCode> {
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::try_from(authority.as_str());
        headers.insert(HOST, host.map_err(|_| StatusCode::BAD_REQUEST)?);
    }
    let host = HeaderValue::from_static("localhost");
    headers.entry(HOST).or_insert(host);
    match headers.get_all(HOST).iter().count() {
        1 => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Adds the length of the content, as clients do, and joins cookies (rule `SCOPE-09`).
fn frame(headers: &mut HeaderMap, version: Version, length: Option<usize>) {
    match length {
        _ if headers.contains_key(CONTENT_LENGTH) => {}
        Some(0) => {}
        Some(length) => {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        None if version == Version::HTTP_11 => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        None => {}
    }
    if version >= Version::HTTP_2 && headers.contains_key(COOKIE) {
        head::join_cookies(headers);
    }
}

/// Returns the features that are offered to this request (rules `SCOPE-19` and `EXT-15`).
fn offered(settings: &Settings, version: Version, headers: &HeaderMap) -> Features {
    let has_trailers = version >= Version::HTTP_2
        || version == Version::HTTP_11 && head::has_token(headers, TE, "trailers");
    let of_websockets = [Feature::DenialResponse, Feature::PerMessageDeflate];
    let offered = of_websockets
        .into_iter()
        .fold(settings.features, Features::without);
    if has_trailers {
        offered
    } else {
        offered.without(Feature::ResponseTrailers)
    }
}

/// Returns whether the client withholds its content until the server asks for it (RFC 9110, 10.1.1).
pub(super) fn expects_continue(scope: &HttpScope) -> bool {
    let has_content = match scope.headers.get(CONTENT_LENGTH) {
        Some(length) => length != "0",
        None => scope.headers.contains_key(TRANSFER_ENCODING),
    };
    scope.version == Version::HTTP_11
        && has_content
        && head::has_token(&scope.headers, EXPECT, "100-continue")
}
