//! An exchange as a command line.

use std::fmt::Write as _;

use bytes::BytesMut;
use callgate::{HttpScope, ReceiveEvent, RequestScope, Scope};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Version};

use crate::exchange::{Exchange, request_target};

/// The fields that a client sets itself.
const OWN_FIELDS: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Returns a command for a POSIX shell that makes the request of this exchange again: of `curl`, or of
/// `websockets` (`pip install websockets`) for a WebSocket. `None` for a lifespan.
///
/// Masked credentials stay masked. Where the content of the request was shortened, a comment says so.
#[must_use]
pub fn curl(exchange: &Exchange) -> Option<String> {
    let mut command = match exchange.scope()? {
        Scope::Http(scope) => http_command(scope, exchange),
        Scope::WebSocket(scope) => {
            let address = address(scope, scope.scheme.as_websocket_str());
            format!("python -m websockets {}", quoted(&address))
        }
        _ => return None,
    };
    if !exchange.is_whole() {
        command += "\n# A part of this exchange was left out or shortened.";
    }
    Some(command)
}

fn http_command(scope: &HttpScope, exchange: &Exchange) -> String {
    let mut command = String::new();
    let content = request_content(exchange);
    let text = std::str::from_utf8(&content)
        .ok()
        .filter(|text| !text.contains('\0'));
    if text.is_none() {
        let octal: String = content
            .iter()
            .map(|octet| format!("\\{octet:03o}"))
            .collect();
        let _ = write!(command, "printf '{octal}' | ");
    }
    command += "curl -i";
    match scope.version {
        Version::HTTP_10 => command += " --http1.0",
        Version::HTTP_2 if scope.scheme.as_str() == "http" => command += " --http2-prior-knowledge",
        _ => {}
    }
    let implied = match content.is_empty() {
        true => Method::GET,
        false => Method::POST,
    };
    if scope.method == Method::HEAD {
        command += " --head";
    } else if scope.method != implied {
        let _ = write!(command, " -X {}", quoted(scope.method.as_str()));
    }
    let _ = write!(
        command,
        " {}",
        quoted(&address(scope, scope.scheme.as_str()))
    );
    for (name, value) in &scope.headers {
        if !OWN_FIELDS.contains(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            // A field without a value has a semicolon in curl.
            let field = match value.is_empty() {
                true => format!("{name};"),
                false => format!("{name}: {value}"),
            };
            let _ = write!(command, " \\\n  -H {}", quoted(&field));
        }
    }
    match text {
        Some("") => {}
        Some(text) => {
            let _ = write!(command, " \\\n  --data-raw {}", quoted(text));
        }
        None => command += " \\\n  --data-binary @-",
    }
    if !has_all_content(scope, exchange) {
        command += "\n# The application has not received all of the content.";
    }
    command
}

/// Returns whether the application has received all of the content of the request.
fn has_all_content(scope: &HttpScope, exchange: &Exchange) -> bool {
    let length = scope.headers.get(CONTENT_LENGTH);
    let is_empty =
        length.is_none_or(|length| length == "0") && !scope.headers.contains_key(TRANSFER_ENCODING);
    let is_last = |event: &ReceiveEvent| matches!(event, ReceiveEvent::HttpRequestBody(request) if !request.more_body);
    let mut received = exchange.lines().filter_map(|line| line.received.as_ref());
    is_empty || received.any(is_last)
}

/// Returns the content of the request as far as it is kept.
pub(super) fn request_content(exchange: &Exchange) -> BytesMut {
    let received = exchange.lines().filter_map(|line| line.received.as_ref());
    received
        .filter_map(|event| match event {
            ReceiveEvent::HttpRequestBody(request) => Some(&request.body),
            _ => None,
        })
        .fold(BytesMut::new(), |mut content, part| {
            content.extend_from_slice(part);
            content
        })
}

/// Returns the URL of the request, with the authority that the client has sent.
fn address(request: &RequestScope, scheme: &str) -> String {
    let host = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = match (host, request.server) {
        (Some(host), _) if !host.is_empty() => host.to_owned(),
        (_, Some(server)) => server.to_string(),
        _ => "localhost".to_owned(),
    };
    let target = request_target(request);
    format!("{scheme}://{host}{target}")
}

/// Returns `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
