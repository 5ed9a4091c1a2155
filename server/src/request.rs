//! Turns the head of a request into a scope, or into a rejection.

use bytestring::ByteString;
use callgate::{Feature, Features, HttpScope, RequestScope, Scheme, WebSocketScope};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};

use callgate_drive::head::{has_token, has_websocket_key, is_percent_encoded, join_cookies, list};

use crate::connection::ConnectionInfo;
#[cfg(feature = "tls")]
use crate::context::ServerContext;
use crate::proxy::{Conclusion, conclude, is_proxy_field, remove_proxy_fields};
#[cfg(feature = "tls")]
use crate::readiness;
#[cfg(feature = "tls")]
use crate::redirect::HttpsRedirect;
use crate::rejection::Rejection;
use crate::report;

/// A request that the application is called for, as its scope.
#[derive(Debug)]
pub(crate) enum ParsedRequest {
    Http(Box<HttpScope>),
    WebSocket(Box<WebSocketScope>),
}

/// Turns the head of a request into a scope, or returns the rejection of the request.
/// `is_extended_connect` tells whether the request opens a WebSocket by extended CONNECT (RFC 8441).
pub(crate) fn read(
    mut parts: Parts,
    is_extended_connect: bool,
    connection: &ConnectionInfo,
) -> Result<ParsedRequest, Rejection> {
    let fields = Fields::of(&parts.headers);
    normalise_authority(&mut parts, &fields)?;
    let conclusion = match fields.has_proxy_fields && connection.server.config.proxy.headers {
        true => take_proxy_fields(&mut parts.headers, connection),
        false => None,
    };
    let is_websocket = is_extended_connect || asks_for_upgrade(&parts, &fields);
    if is_websocket {
        check_handshake(&parts, is_extended_connect, &fields)?;
    };
    if parts.method == Method::CONNECT && !is_websocket {
        return Err(Rejection::new(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT is not supported: this is not a proxy",
        ));
    }
    let server = &*connection.server;
    server.retirement.count();
    #[cfg(feature = "tls")]
    if let Some(redirect) = server.https_redirect
        && HttpsRedirect::is_for(connection, conclusion.as_deref())
        && !is_health_check(&parts, server)
    {
        return Err(redirect.respond(&parts, is_websocket));
    }
    let prefix = conclusion.as_ref().and_then(|it| it.prefix.as_ref());
    match prefix {
        Some(prefix) => {
            let root_path = format!("{}{}", prefix.raw, server.raw_root_path);
            make_origin_form(&mut parts, &root_path)?;
        }
        None => make_origin_form(&mut parts, &server.raw_root_path)?,
    }
    if is_websocket {
        copy_values(&mut parts.headers);
        let mut scope = Box::new(WebSocketScope::new(copy_of(&parts.uri)?));
        scope.extensions = parts.extensions;
        scope.version = parts.version;
        scope.subprotocols = subprotocols(&parts.headers);
        scope.headers = parts.headers;
        scope.root_path = server.root_path.clone();
        scope.state = server.state();
        scope.features = Features::NONE.with(Feature::DenialResponse);
        set_origin(&mut scope.request, connection, conclusion);
        Ok(ParsedRequest::WebSocket(scope))
    } else {
        let features = features(parts.version, &parts.headers, &fields);
        let place = Box::new_uninit();
        let mut scope = Box::write(place, HttpScope::from_parts(parts));
        scope.features = features;
        if !server.root_path.is_empty() {
            scope.root_path = server.root_path.clone();
        }
        scope.state = server.state();
        set_origin(&mut scope.request, connection, conclusion);
        Ok(ParsedRequest::Http(scope))
    }
}

/// Returns whether a request asks for the health of the server. Balancers ask in cleartext, and follow no
/// redirect.
#[cfg(feature = "tls")]
fn is_health_check(parts: &Parts, server: &ServerContext) -> bool {
    let health_path = server.config.admin.health_path.as_deref();
    health_path.is_some_and(|it| readiness::is_health_check(&parts.method, parts.uri.path(), it))
}

/// Which of the fields that the server reads are present. One pass over all fields costs less than
/// a look-up for each.
#[derive(Debug, Default)]
struct Fields {
    cookies: usize,
    has_te: bool,
    has_upgrade: bool,
    has_expect: bool,
    has_proxy_fields: bool,
}

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        let mut fields = Self::default();
        for name in headers.iter().map(|(name, _)| name) {
            if name == header::COOKIE {
                fields.cookies += 1;
            } else if name == header::TE {
                fields.has_te = true;
            } else if name == header::UPGRADE {
                fields.has_upgrade = true;
            } else if name == header::EXPECT {
                fields.has_expect = true;
            } else if is_proxy_field(name) {
                fields.has_proxy_fields = true;
            }
        }
        fields
    }
}

/// Takes what the fields of a trusted proxy tell, and removes the fields that are not believed, so that no
/// application believes them either.
// Not inlined, because most requests have no such fields.
#[inline(never)]
fn take_proxy_fields(
    headers: &mut HeaderMap,
    connection: &ConnectionInfo,
) -> Option<Box<Conclusion>> {
    let settings = &connection.server.config.proxy;
    if !connection.is_trusted_proxy {
        remove_proxy_fields(headers, None);
        return None;
    }
    let family = settings.header_family;
    let conclusion = match conclude(headers, family, &settings.forwarded_allow_ips) {
        Ok(conclusion) => {
            remove_proxy_fields(headers, Some(family));
            conclusion
        }
        Err(name) => {
            let reason = format_args!("the field `{name}` of a trusted proxy is malformed");
            report::failed(connection.peer, &reason);
            remove_proxy_fields(headers, None);
            // The client is not the proxy, whose address an application may trust.
            Conclusion {
                client: Some(None),
                ..Conclusion::default()
            }
        }
    };
    if let Some(host) = &conclusion.host {
        headers.insert(header::HOST, host.clone());
    }
    Some(Box::new(conclusion))
}

/// Sets the addresses, the scheme and the security of a request: those of its connection, except for what
/// trusted proxies say of the client.
fn set_origin(
    scope: &mut RequestScope,
    connection: &ConnectionInfo,
    conclusion: Option<Box<Conclusion>>,
) {
    scope.client = connection.client;
    scope.server = connection.address;
    if connection.tls.is_some() {
        scope.scheme = Scheme::Https;
    }
    let Some(conclusion) = conclusion else {
        if let Some(tls) = &connection.tls {
            scope.features = scope.features.with(Feature::Tls);
            scope.tls = Some(tls.clone());
        }
        return;
    };
    // The security of this connection is between the proxy and the server: the certificate of the proxy is not
    // that of its client (rule `TLS-03`), which may speak cleartext with the proxy (rule `TLS-01`).
    if let Some(client) = conclusion.client {
        scope.client = client;
    }
    if let Some(scheme) = conclusion.scheme {
        scope.scheme = scheme;
    }
    if let Some(prefix) = conclusion.prefix {
        scope.root_path = format!("{}{}", prefix.decoded, scope.root_path).into();
    }
}

/// Sets `host` to the authority of the target, if it has one (rules `SCOPE-03`, `SCOPE-10`). The
/// transports have checked the `host` field (`SCOPE-20`).
fn normalise_authority(parts: &mut Parts, fields: &Fields) -> Result<(), Rejection> {
    if (parts.method != Method::CONNECT || parts.version == Version::HTTP_2)
        && let Some(authority) = parts.uri.authority()
    {
        let host = HeaderValue::try_from(authority.as_str())
            .map_err(|_| Rejection::bad_request("the authority of the target is malformed"))?;
        parts.headers.insert(header::HOST, host);
    }
    if parts.version == Version::HTTP_2 && fields.cookies > 1 {
        join_cookies(&mut parts.headers);
    }
    Ok(())
}

/// Reduces the target to its path and query, with the root path in front.
fn make_origin_form(parts: &mut Parts, root_path: &str) -> Result<(), Rejection> {
    let Some(target) = parts.uri.path_and_query() else {
        return Err(Rejection::bad_request("the target has no path"));
    };
    if target.path() == "*" {
        if parts.method != Method::OPTIONS {
            return Err(Rejection::bad_request("the target `*` is for OPTIONS only"));
        }
        parts.uri = target.clone().into();
        return Ok(());
    }
    if !target.path().starts_with('/') {
        return Err(Rejection::bad_request("the path does not begin with `/`"));
    }
    if !is_percent_encoded(target.path()) {
        return Err(Rejection::bad_request(
            "the percent-encoding of the path is malformed",
        ));
    }
    if !root_path.is_empty() {
        let target: PathAndQuery = format!("{root_path}{target}")
            .parse()
            .map_err(|_| Rejection::bad_request("the target is too long"))?;
        parts.uri = target.into();
    } else if parts.uri.authority().is_some() {
        parts.uri = target.clone().into();
    }
    Ok(())
}

/// Copies the values of all fields, so that a long-lived WebSocket does not keep the whole read
/// buffer in memory.
fn copy_values(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).expect("it is one already");
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
    }
}

/// Returns a copy of the target, for the same reason.
fn copy_of(target: &Uri) -> Result<Uri, Rejection> {
    Uri::try_from(target.to_string()).map_err(|_| Rejection::bad_request("the target is malformed"))
}

/// Returns whether the request opens a WebSocket by an upgrade (RFC 6455, 4.1).
fn asks_for_upgrade(parts: &Parts, fields: &Fields) -> bool {
    parts.version == Version::HTTP_11
        && fields.has_upgrade
        && parts.method == Method::GET
        && has_token(&parts.headers, header::UPGRADE, "websocket")
        && has_token(&parts.headers, header::CONNECTION, "upgrade")
}

/// Checks a request that opens a WebSocket.
fn check_handshake(
    parts: &Parts,
    is_extended_connect: bool,
    fields: &Fields,
) -> Result<(), Rejection> {
    if parts
        .headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(wrong_websocket_version(parts.version));
    }
    if !is_extended_connect && !has_websocket_key(&parts.headers) {
        return Err(Rejection::bad_request(
            "`sec-websocket-key` is missing or malformed",
        ));
    }
    if !is_extended_connect && (has_content(&parts.headers) || fields.has_expect) {
        return Err(Rejection::bad_request(
            "a WebSocket handshake has no content and no `expect`",
        ));
    }
    Ok(())
}

/// Returns the rejection of a handshake for another version of the protocol (RFC 6455, 4.4; RFC 9110,
/// 15.5.22).
#[cold]
fn wrong_websocket_version(version: Version) -> Rejection {
    let rejection = Rejection::new(
        StatusCode::UPGRADE_REQUIRED,
        "the version of WebSocket must be 13",
    )
    .header(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    if version == Version::HTTP_2 {
        return rejection;
    }
    rejection
        .header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

/// Returns whether the fields of a request over HTTP/1 announce content.
fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || (headers.get(header::CONTENT_LENGTH)).is_some_and(|length| length != "0")
}

fn subprotocols(headers: &HeaderMap) -> Vec<ByteString> {
    list(headers, header::SEC_WEBSOCKET_PROTOCOL)
        .map(ByteString::from)
        .collect()
}

fn features(version: Version, headers: &HeaderMap, fields: &Fields) -> Features {
    let mut offered = Features::NONE
        .with(Feature::PathSend)
        .with(Feature::Shutdown);
    // A client of HTTP/1.0 takes no interim response, and hyper sends none over HTTP/2.
    if version == Version::HTTP_11 {
        offered = offered.with(Feature::EarlyHints);
    }
    // HTTP/1.1 lets trailer fields be dropped on the way unless the client asks for them.
    let has_trailers = version == Version::HTTP_2
        || version == Version::HTTP_11
            && fields.has_te
            && has_token(headers, header::TE, "trailers");
    if has_trailers {
        offered.with(Feature::ResponseTrailers)
    } else {
        offered
    }
}
