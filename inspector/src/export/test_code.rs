//! An exchange as a test.

use std::fmt::Write as _;

use bytes::BytesMut;
use callgate::{Message, ReceiveEvent, RequestScope, Scope, SendEvent};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};

use super::curl::request_content;
use crate::exchange::{Exchange, request_target};

/// The fields that a test client sets itself, or that say nothing in a test.
const LEFT_OUT: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
];

/// Returns a test in Rust that makes this exchange with the
/// [`TestClient`](https://docs.rs/callgate-toolkit/latest/callgate_toolkit/test_client/) and expects the same
/// response. `None` for a lifespan.
///
/// The test calls an application with the name `app`.
#[must_use]
pub fn test_code(exchange: &Exchange) -> Option<String> {
    let body = match exchange.scope()? {
        Scope::Http(scope) => http_body(scope, exchange),
        Scope::WebSocket(scope) => websocket_body(scope, exchange),
        _ => return None,
    };
    let mut code = String::new();
    if body.contains("Message::") {
        code += "use callgate::Message;\n";
    }
    let imports = match body.contains("response.text()") {
        true => "{ResponseExt, TestClient}",
        false => "TestClient",
    };
    let _ = write!(code, "use callgate_toolkit::test_client::{imports};\n\n");
    if !exchange.is_whole() {
        code += "// A part of this exchange was left out or shortened.\n";
    }
    let _ = write!(
        code,
        "#[tokio::test]\n\
         async fn exchange_{}() -> Result<(), Box<dyn std::error::Error>> {{\n    \
         let client = TestClient::start(app).await?;\n{body}    \
         client.shutdown().await?;\n    Ok(())\n}}\n",
        exchange.summary.number,
    );
    Some(code)
}

fn http_body(scope: &callgate::HttpScope, exchange: &Exchange) -> String {
    let mut body = String::from("    let response = client\n");
    let target = literal(&request_target(scope));
    let method = scope.method.as_str();
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
            let _ = writeln!(body, "        .{}({target})", method.to_lowercase());
        }
        _ => {
            let _ = writeln!(
                body,
                "        .method({}.parse()?, {target})",
                literal(method)
            );
        }
    }
    body += &fields(scope);
    let content = request_content(exchange);
    if !content.is_empty() {
        let _ = writeln!(body, "        .body({})", octets(&content));
    }
    body += "        .send()\n        .await?;\n";
    let mut content = BytesMut::new();
    for line in exchange.lines().filter(|line| line.failed.is_none()) {
        match &line.sent {
            Some(SendEvent::HttpResponseStart(start)) => {
                let status = start.status.as_u16();
                let _ = writeln!(body, "    assert_eq!(response.status(), {status});");
                if let Some(value) = start.headers.get("content-type") {
                    let value = octets(value.as_bytes());
                    let _ = writeln!(
                        body,
                        "    assert_eq!(response.headers()[\"content-type\"], {value});"
                    );
                }
            }
            Some(SendEvent::HttpResponseBody(part)) => content.extend_from_slice(&part.body),
            _ => {}
        }
    }
    // The content of a path send is in a file, and a response to HEAD has none.
    if !content.is_empty() && method != "HEAD" {
        match std::str::from_utf8(&content) {
            Ok(text) => {
                let _ = writeln!(body, "    assert_eq!(response.text(), {});", literal(text));
            }
            Err(_) => {
                let octets = octets(&content);
                let _ = writeln!(body, "    assert_eq!(response.body().as_ref(), {octets});");
            }
        }
    }
    body
}

fn websocket_body(scope: &callgate::WebSocketScope, exchange: &Exchange) -> String {
    let mut body = String::new();
    let target = literal(&request_target(scope));
    let mut handshake = format!("client\n        .websocket({target})\n");
    if !scope.subprotocols.is_empty() {
        let names: Vec<_> = scope
            .subprotocols
            .iter()
            .map(|name| literal(name))
            .collect();
        let _ = writeln!(handshake, "        .subprotocols([{}])", names.join(", "));
    }
    handshake += &fields(scope);
    handshake += "        .connect()\n        .await";
    let is_accepted = exchange
        .lines()
        .any(|line| matches!(line.sent, Some(SendEvent::WebSocketAccept(_))));
    if !is_accepted {
        let _ = writeln!(
            body,
            "    let refused = {handshake};\n    assert!(refused.is_err());"
        );
        return body;
    }
    let receives = exchange.lines().any(|line| {
        matches!(
            line.sent,
            Some(SendEvent::WebSocketSend(_) | SendEvent::WebSocketClose(_))
        )
    });
    let mutable = if receives { "mut " } else { "" };
    let _ = writeln!(body, "    let {mutable}socket = {handshake}?;");
    for line in exchange.lines().filter(|line| line.failed.is_none()) {
        match (&line.received, &line.sent) {
            (Some(ReceiveEvent::WebSocketReceive(message)), _) => {
                let _ = writeln!(body, "    socket.send({}).await?;", message_code(message));
            }
            (_, Some(SendEvent::WebSocketSend(message))) => {
                let message = message_code(message);
                let _ = writeln!(body, "    assert_eq!(socket.receive().await?, {message});");
            }
            (_, Some(SendEvent::WebSocketClose(close))) => {
                let code = close.code;
                let _ = writeln!(body, "    assert_eq!(socket.closed().await?.code, {code});");
            }
            _ => {}
        }
    }
    body += "    drop(socket);\n";
    body
}

/// Returns the calls that set the fields of the request.
fn fields(request: &RequestScope) -> String {
    let mut calls = String::new();
    for (name, value) in &request.headers {
        if !LEFT_OUT.contains(name) && name != ORIGIN {
            let (name, value) = (literal(name.as_str()), octets(value.as_bytes()));
            let _ = writeln!(calls, "        .header({name}, {value})");
        }
    }
    calls
}

fn message_code(message: &Message) -> String {
    match message {
        Message::Text(text) => format!("Message::text({})", literal(text)),
        Message::Binary(octets) => format!("Message::binary(&b\"{}\"[..])", octets.escape_ascii()),
    }
}

/// Returns a literal of a string in Rust, or of bytes where they are no text.
fn octets(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => literal(text),
        Err(_) => format!("&b\"{}\"[..]", octets.escape_ascii()),
    }
}

/// Returns a literal of a string in Rust.
fn literal(text: &str) -> String {
    let is_raw = text.contains(['"', '\\'])
        && !text.contains(|c: char| c.is_control() && c != '\n')
        && !text.contains("\"#");
    match is_raw {
        true => format!("r#\"{text}\"#"),
        false => format!("{text:?}"),
    }
}
