//! Parses a file of requests.

use std::iter::Peekable;

use bytes::Bytes;
use callgate::Message;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{AppRequest, AppRequestsError, RequestKind};

/// Begins the line between two requests.
const SEPARATOR: &str = "###";

/// Begins the line between two messages of a WebSocket.
const MESSAGE_SEPARATOR: &str = "===";

/// The method of a WebSocket.
const WEBSOCKET: &str = "WEBSOCKET";

/// Returns the requests and WebSockets of a file, in order.
pub(super) fn read(text: &str) -> Result<Vec<AppRequest>, AppRequestsError> {
    let mut lines = text.lines().zip(1..).peekable();
    let mut requests = Vec::new();
    while let Some((line, number)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let at_line = |fault: String| AppRequestsError::Line(number, fault);
        let (method, path) = request_line(line).map_err(at_line)?;
        let headers = header_fields(&mut lines)?;
        let content = content(&mut lines);
        let kind = match method {
            WEBSOCKET => RequestKind::WebSocket {
                subprotocols: Vec::new(),
                messages: messages(&content),
            },
            method => RequestKind::Http {
                method: method
                    .parse::<Method>()
                    .map_err(|_| at_line(format!("`{method}` is not a method")))?,
                content: Bytes::from(content.join("\n")),
            },
        };
        requests.push(AppRequest {
            path,
            headers,
            kind,
        });
    }
    Ok(requests)
}

/// Parses `GET /path HTTP/1.1`. The version may be absent, and so may the method GET.
fn request_line(line: &str) -> Result<(&str, String), String> {
    let mut words = line.split_whitespace();
    let (method, address) = match (words.next(), words.next()) {
        (Some(method), Some(address)) => (method, address),
        (address, _) => ("GET", address.unwrap_or_default()),
    };
    if line.contains("{{") {
        return Err(
            "variables are not replaced: write the value in place of `{{`..`}}`".to_owned(),
        );
    }
    let is_version = |word: &str| word.starts_with("HTTP/");
    if !words.all(is_version) {
        return Err("a request begins with a method and a path, such as `GET /orders`".to_owned());
    }
    let path = match address.parse::<Uri>() {
        Ok(uri) if address.starts_with('/') || uri.scheme().is_some() => uri
            .path_and_query()
            .map_or("/", PathAndQuery::as_str)
            .to_owned(),
        _ => {
            return Err(format!(
                "`{address}` is not a path: a path begins with `/`, and is percent-encoded"
            ));
        }
    };
    Ok((method, path))
}

/// Parses fields up to an empty line, or to the end of the request.
fn header_fields<'a>(
    lines: &mut Peekable<impl Iterator<Item = (&'a str, usize)>>,
) -> Result<HeaderMap, AppRequestsError> {
    let mut headers = HeaderMap::new();
    while let Some((line, number)) = lines.next_if(|(line, _)| !line.starts_with(SEPARATOR)) {
        if line.trim().is_empty() {
            break;
        }
        let field = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            let value = HeaderValue::try_from(value.trim()).ok()?;
            Some((name, value))
        });
        let Some((name, value)) = field else {
            let fault = "a header field is NAME: VALUE, and an empty line ends the header fields";
            return Err(AppRequestsError::Line(number, fault.to_owned()));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Returns the lines up to the end of the request, without empty ones at the end.
fn content<'a>(lines: &mut Peekable<impl Iterator<Item = (&'a str, usize)>>) -> Vec<&'a str> {
    let mut content = Vec::new();
    while let Some((line, _)) = lines.next_if(|(line, _)| !line.starts_with(SEPARATOR)) {
        content.push(line);
    }
    while content.last().is_some_and(|line| line.trim().is_empty()) {
        content.pop();
    }
    content
}

fn messages(content: &[&str]) -> Vec<Message> {
    if content.is_empty() {
        return Vec::new();
    }
    content
        .split(|line| line.starts_with(MESSAGE_SEPARATOR))
        .map(|message| Message::text(message.join("\n")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes each request in a line.
    fn described(text: &str) -> Vec<String> {
        let described = |request: AppRequest| {
            let fields: Vec<_> = request
                .headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            let kind = match request.kind {
                RequestKind::Http { method, content } => format!("{method} {content:?}"),
                RequestKind::WebSocket { messages, .. } => format!("WebSocket {messages:?}"),
            };
            format!("{} [{}] {kind}", request.path, fields.join(" "))
        };
        read(text).unwrap().into_iter().map(described).collect()
    }

    #[test]
    fn requests_have_fields_and_content_and_end_at_three_hashes() {
        let text = "# the shop\n\nGET /a?b=1 HTTP/1.1\naccept: text/html\naccept: */*\n\n### next\n\
            // a comment\nPOST http://localhost:8000/c\n\nline\n\nline: x\n\n\n###\n\n/d\n### \nDELETE /e";
        let expected = [
            "/a?b=1 [accept=text/html accept=*/*] GET b\"\"",
            "/c [] POST b\"line\\n\\nline: x\"",
            "/d [] GET b\"\"",
            "/e [] DELETE b\"\"",
        ];
        assert_eq!(described(text), expected);
    }

    #[test]
    fn a_websocket_has_messages() {
        let text = "WEBSOCKET ws://localhost/chat\norigin: http://localhost\n\none\ntwo\n===\nthree\n### \nWEBSOCKET /b\n";
        let of = |text: &str| Message::text(text.to_owned());
        let messages = vec![of("one\ntwo"), of("three")];
        let expected = [
            format!("/chat [origin=http://localhost] WebSocket {messages:?}"),
            "/b [] WebSocket []".to_owned(),
        ];
        assert_eq!(described(text), expected);
    }

    #[test]
    fn a_fault_has_the_number_of_its_line() {
        for (text, number, word) in [
            ("GET /a\n###\n\nGET a b", 4, "a request begins with"),
            ("orders", 1, "`orders` is not a path"),
            ("GET /a\naccept text/html", 2, "NAME: VALUE"),
            ("GET http://{{host}}/a", 1, "variables"),
            ("G@T /a", 1, "`G@T` is not a method"),
        ] {
            match read(text) {
                Err(AppRequestsError::Line(line, fault)) => {
                    assert_eq!(line, number, "{text}");
                    assert!(fault.contains(word), "{fault}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
