//! What a request says, as the scope that a server makes of it.

use callgate::{ByteString, Feature, Features, HttpScope, Scheme, WebSocketScope};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::Settings;

/// The scope of a request, or the status that a server answers it with. The root path is put in
/// front of its target.
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
    let mut scope = HttpScope::new(parts.method, Uri::default());
    scope.uri = target(root_path, &parts.uri, is_asterisk)?;
    scope.version = parts.version;
    scope.scheme = scheme(settings, &parts.uri);
    name_host(&mut parts.headers, &parts.uri)?;
    frame(&mut parts.headers, parts.version, length);
    scope.features = offered(settings, parts.version, &parts.headers);
    scope.headers = parts.headers;
    scope.root_path = settings.root_path.clone();
    scope.client = settings.client;
    scope.server = settings.server;
    scope.state = settings.state.clone();
    Ok(scope)
}

/// The scope of a WebSocket's handshake, or the status that a server answers it with.
pub(super) fn websocket(
    settings: &Settings,
    mut parts: Parts,
    subprotocols: Vec<ByteString>,
) -> Result<WebSocketScope, StatusCode> {
    let mut scope = WebSocketScope::new(target(&settings.root_path, &parts.uri, false)?);
    scope.version = parts.version;
    scope.scheme = scheme(settings, &parts.uri);
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
    scope.headers = parts.headers;
    scope.root_path = settings.root_path.clone();
    scope.subprotocols = subprotocols;
    scope.client = settings.client;
    scope.server = settings.server;
    scope.state = settings.state.clone();
    if settings.features.contains(Feature::DenialResponse) {
        scope.features = Features::NONE.with(Feature::DenialResponse);
    }
    Ok(scope)
}

/// Where a request goes that a scope says this of: the URL of the fetch standard, as cookies and
/// redirects need it. None when the host is not one that a URL can have.
pub(super) fn url(scheme: Scheme, headers: &HeaderMap, target: &Uri) -> Option<Url> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    url.set_path(target.path());
    url.set_query(target.query());
    Some(url)
}

/// What a browser's handshake has, with the key of RFC 6455, 1.3.
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The target in origin form, with the root path in front (rules `SCOPE-02` and `SCOPE-15`).
fn target(root_path: &str, uri: &Uri, is_asterisk: bool) -> Result<Uri, StatusCode> {
    let target = uri.path_and_query().ok_or(StatusCode::BAD_REQUEST)?;
    if is_asterisk {
        return Ok(target.clone().into());
    }
    if !target.path().starts_with('/') || !is_percent_encoded(target.path()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let root_path = utf8_percent_encode(root_path, NOT_IN_PATH);
    format!("{root_path}{target}")
        .parse()
        .map_err(|_| StatusCode::BAD_REQUEST)
}

const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Whether each `%` is followed by two hexadecimal digits (rule `SCOPE-05`).
fn is_percent_encoded(path: &str) -> bool {
    let mut pieces = path.split('%');
    pieces.next();
    pieces.all(|piece| {
        let digits = piece.as_bytes().iter().take(2);
        digits.filter(|digit| digit.is_ascii_hexdigit()).count() == 2
    })
}

fn scheme(settings: &Settings, uri: &Uri) -> Scheme {
    match uri.scheme_str() {
        Some("https" | "wss") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => settings.scheme,
    }
}

/// Has `host` say what the target says (rule `SCOPE-03`), or `localhost`.
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

/// Says how long the content is, as clients do; and joins cookies (rule `SCOPE-09`).
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
    let crumbs: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if version >= Version::HTTP_2 && crumbs.len() > 1 {
        let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
        headers.insert(COOKIE, joined.expect("values of header fields, joined"));
    }
}

/// What of the offered features this request can have (rules `SCOPE-19` and `EXT-15`).
fn offered(settings: &Settings, version: Version, headers: &HeaderMap) -> Features {
    let asks_for_trailers = headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"));
    let has_trailers =
        version >= Version::HTTP_2 || version == Version::HTTP_11 && asks_for_trailers;
    settings
        .features
        .without(Feature::DenialResponse)
        .iter()
        .filter(|feature| *feature != Feature::ResponseTrailers || has_trailers)
        .collect()
}
