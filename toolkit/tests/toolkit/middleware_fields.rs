//! Middlewares that add fields to responses.

use std::time::Duration;

use callgate::{
    App, AppError, HttpResponseStart, Message, Receiver, Scheme, Scope, Sender, WebSocketAccept,
};
use callgate_conformance::Lint;
use callgate_toolkit::middleware::{Cors, RequestId, SecurityHeaders, SetRequestId};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use http::{HeaderMap, Method};

fn client(app: impl App) -> TestClient {
    TestClient::new(Lint::new(app).strict())
}

/// Responds with the identifier of the request.
async fn id(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let request = scope.request().ok_or(AppError::Unsupported)?;
    let id = request.extensions.get::<RequestId>().unwrap().to_string();
    assert_eq!(request.headers["x-request-id"], id);
    assert_eq!(request.headers.get_all("x-request-id").iter().count(), 1);
    match scope {
        Scope::Http(_) => {
            let response = respond::text(id).header("x-request-id", "another");
            response.send(&sender).await
        }
        _ => {
            sender.send(WebSocketAccept::new()).await?;
            Ok(sender.send(Message::text(id)).await?)
        }
    }
}

#[tokio::test]
async fn a_sane_identifier_is_kept_and_any_other_is_replaced() {
    let client = client(SetRequestId::new(Lint::new(id).strict()));
    let longest = "x".repeat(128);
    for received in ["7", "0198c5a0-7d1c/7:a.b_c~d+e=@", &longest] {
        let request = client.get("/").header("x-request-id", received);
        let response = request.send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        assert_eq!(response.text(), received);
        assert_eq!(response.headers()["x-request-id"], received);
    }
    let too_long = "x".repeat(129);
    let mut seen = Vec::new();
    for received in [
        "", "a b", "a\"b", "a,b", "a\tb", "<b>", "a;b", "é", &too_long,
    ] {
        let request = client.get("/").header("x-request-id", received.as_bytes());
        let response = request.send().await.unwrap();
        let id = response.text().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(response.headers()["x-request-id"], id);
        assert!(!seen.contains(&id));
        seen.push(id);
    }
    let request = client.get("/").header("x-request-id", "1");
    let response = request.header("x-request-id", "2").send().await.unwrap();
    assert_eq!(response.text().len(), 32);
}

#[tokio::test]
async fn received_identifiers_can_be_ignored() {
    let client = client(SetRequestId::new(id).ignore_received());
    let request = client.get("/").header("x-request-id", "7");
    assert_eq!(request.send().await.unwrap().text().len(), 32);
}

#[tokio::test]
async fn a_websocket_has_an_identifier_in_the_response_to_its_handshake() {
    let client = client(SetRequestId::new(id));
    let handshake = client.websocket("/").header("x-request-id", "7");
    let mut socket = handshake.connect().await.unwrap();
    assert_eq!(socket.headers()["x-request-id"], "7");
    assert_eq!(socket.text().await.unwrap(), "7");
}

/// Sets a security field of its own; denies WebSockets.
async fn page(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let response = respond::text("page").header("x-frame-options", "SAMEORIGIN");
    match scope {
        Scope::Http(_) => response.send(&sender).await,
        Scope::WebSocket(_) => response.deny(&sender).await,
        _ => Err(AppError::Unsupported),
    }
}

#[tokio::test]
async fn security_fields_are_added_unless_the_application_sets_them() {
    let app = SecurityHeaders::new(Lint::new(page).strict())
        .set_header("content-security-policy", "default-src 'self'")
        .header("content-security-policy", "sandbox")
        .without("referrer-policy")
        .strict_transport_security("max-age=60");
    let client = client(app);
    let response = client.get("/").send().await.unwrap();
    let denied = client.websocket("/").connect().await.unwrap_err();
    let denied = denied.response().unwrap();
    for headers in [response.headers(), denied.headers()] {
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        let frames: Vec<_> = headers.get_all("x-frame-options").iter().collect();
        assert_eq!(frames, ["SAMEORIGIN"]);
        let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
        assert_eq!(policies, ["default-src 'self'", "sandbox"]);
        assert!(!headers.contains_key("referrer-policy"));
        assert!(!headers.contains_key("strict-transport-security"));
    }
    let secured = client.scheme(Scheme::Https).get("/").send().await.unwrap();
    assert_eq!(secured.headers()["strict-transport-security"], "max-age=60");
}

/// Says which method it was called with; allows all origins by itself.
async fn api(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => {
            let start = HttpResponseStart::ok()
                .header("access-control-allow-origin", "*")
                .header("vary", "Accept, Origin");
            let mut response = respond::text(scope.method.as_str());
            response.start.headers.extend(start.headers);
            response.send(&sender).await
        }
        Scope::WebSocket(_) => {
            sender.send(WebSocketAccept::new()).await?;
            Ok(sender.send(Message::text("open")).await?)
        }
        _ => Err(AppError::Unsupported),
    }
}

fn shop() -> TestClient {
    let app = Cors::new(Lint::new(api).strict())
        .allow_origin("https://shop.example")
        .allow_methods([Method::PUT, Method::DELETE])
        .allow_headers(["content-type", "X-Token"])
        .expose_headers(["etag"])
        .allow_credentials()
        .max_age(Duration::from_secs(600));
    client(app)
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_preflight_request_is_answered_without_the_application() {
    let client = shop();
    for (origin, status) in [
        ("https://shop.example", 204),
        ("HTTPS://SHOP.example:443", 204),
        ("https://evil.example", 403),
        ("http://shop.example", 403),
        ("null", 403),
    ] {
        let request = client.method(Method::OPTIONS, "/").header("origin", origin);
        let request = request.header("access-control-request-method", "PUT");
        let response = request.send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        assert_eq!(response.status(), status, "{origin}");
        assert_ne!(response.text(), "OPTIONS");
        let allowed = |value| (status == 204).then_some(value);
        let headers = response.headers();
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "PUT, DELETE"),
            ("access-control-allow-headers", "content-type, x-token"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(field(headers, name), allowed(value), "{origin}");
        }
        let vary: Vec<_> = headers.get_all("vary").iter().collect();
        let request_fields = [
            "access-control-request-method",
            "access-control-request-headers",
        ];
        assert_eq!(vary, ["origin", request_fields[0], request_fields[1]]);
    }
    // Without the method, it is a request as any other.
    let request = client.method(Method::OPTIONS, "/");
    let request = request.header("origin", "https://shop.example");
    assert_eq!(request.send().await.unwrap().text(), "OPTIONS");
}

#[tokio::test]
async fn a_response_names_the_origin_that_may_read_it_and_no_other() {
    let client = shop();
    for (origin, is_allowed) in [
        (Some("https://shop.example"), true),
        (Some("https://evil.example"), false),
        (Some("https://shop.example.evil"), false),
        (None, false),
    ] {
        let mut request = client.get("/");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        assert_eq!(response.text(), "GET");
        let headers = response.headers();
        let allowed = origin.filter(|_| is_allowed);
        assert_eq!(field(headers, "access-control-allow-origin"), allowed);
        assert_eq!(
            field(headers, "access-control-expose-headers"),
            allowed.map(|_| "etag")
        );
        let credentials = field(headers, "access-control-allow-credentials");
        assert_eq!(credentials, allowed.map(|_| "true"));
        // The application has named the origin there already.
        let vary: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Accept, Origin"]);
    }
}

#[tokio::test]
async fn any_origin_and_any_field_can_be_allowed() {
    let client = client(Cors::new(page).allow_any_origin().allow_any_header());
    let request = client.get("/").header("origin", "https://evil.example");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(!response.headers().contains_key("vary"));

    let request = client.method(Method::OPTIONS, "/").header("origin", "null");
    let request = request
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "x-a, x-b");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        response.headers()["access-control-allow-headers"],
        "x-a, x-b"
    );
}

#[test]
fn any_origin_with_credentials_is_refused_when_the_middleware_is_made() {
    for make in [
        || Cors::new(page).allow_any_origin().allow_credentials(),
        || Cors::new(page).allow_credentials().allow_any_origin(),
    ] {
        let message = std::panic::catch_unwind(make).err().unwrap();
        let message = message.downcast::<&str>().unwrap();
        assert!(message.starts_with("CORS with credentials needs a list of origins"));
    }
}

#[tokio::test]
async fn cors_leaves_websockets_as_they_are() {
    let client = shop();
    let handshake = client
        .websocket("/")
        .header("origin", "https://evil.example");
    let mut socket = handshake.connect().await.unwrap();
    assert!(!socket.headers().contains_key("vary"));
    assert_eq!(socket.text().await.unwrap(), "open");
}
