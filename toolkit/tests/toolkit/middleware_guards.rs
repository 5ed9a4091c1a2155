//! Middlewares that refuse exchanges.

use callgate::{App, AppError, Feature, Message, Receiver, Scheme, Scope, Sender, WebSocketAccept};
use callgate_conformance::Lint;
use callgate_toolkit::middleware::{AllowedHosts, WebSocketOrigins};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::TestClient;
use http::{StatusCode, Version};

/// Greets requests and WebSockets.
async fn greet(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => respond::text("hello").send(&sender).await,
        Scope::WebSocket(_) => {
            sender.send(WebSocketAccept::new()).await?;
            Ok(sender.send(Message::text("hello")).await?)
        }
        _ => Err(AppError::Unsupported),
    }
}

fn client(app: impl App) -> TestClient {
    TestClient::new(Lint::new(app).strict())
}

/// Returns the status of a handshake: 101 when the WebSocket is opened.
async fn handshake(client: &TestClient, fields: &[(&'static str, &str)]) -> u16 {
    let builder = client.websocket("/");
    let builder = fields.iter().fold(builder, |builder, (name, value)| {
        builder.set_header(*name, *value)
    });
    match builder.connect().await {
        Ok(mut socket) => {
            assert_eq!(socket.text().await.unwrap(), "hello");
            101
        }
        Err(error) => error.response().unwrap().status().as_u16(),
    }
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_misdirected_and_a_malformed_one_a_bad_request() {
    let hosts = ["example.com", "*.example.org", "127.0.0.1", "::1"];
    let client = client(AllowedHosts::new(Lint::new(greet).strict(), hosts));
    for (host, status) in [
        ("example.com", 200),
        ("EXAMPLE.com.:8443", 200),
        ("a.b.example.org", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("[0::1]", 200),
        ("example.org", 421),
        ("www.example.com", 421),
        ("example.com.evil", 421),
        ("evilexample.com", 421),
        ("localhost", 421),
        ("[::2]", 421),
        ("127.0.0.1.evil", 421),
        ("", 400),
        ("example.com:x", 400),
        ("evil/example.com", 400),
        ("example.com@evil", 400),
        ("me@example.com", 400),
        ("example.com, evil", 400),
        ("example.com evil", 400),
        ("::1", 400),
    ] {
        let response = client.get("/").set_header("host", host);
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
        let opened = if status == 200 { 101 } else { status };
        assert_eq!(
            handshake(&client, &[("host", host)]).await,
            opened,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_host_that_is_missing_or_repeated_is_a_bad_request() {
    // Without the lint, as the server of this test breaks a rule.
    let client = TestClient::new(AllowedHosts::new(greet, ["example.com"]));
    let repeated = client.get("/").with_scope(|scope| {
        scope.headers.insert("host", "example.com".parse().unwrap());
        scope.headers.append("host", "evil".parse().unwrap());
    });
    let missing = client.get("/").version(Version::HTTP_10);
    let missing = missing.with_scope(|scope| {
        scope.headers.remove("host");
    });
    for request in [repeated, missing] {
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
}

#[tokio::test]
async fn a_websocket_is_refused_with_403_where_denial_responses_are_not_offered() {
    let client = client(AllowedHosts::new(greet, ["example.com"]));
    let handshake = client.websocket("/").with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let refused = handshake.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), StatusCode::FORBIDDEN);
}

#[test]
fn a_text_that_is_no_host_is_refused_when_the_middleware_is_made() {
    for host in [
        "*",
        "http://example.com",
        "example.com:80",
        "example.com/",
        "",
    ] {
        let made = std::panic::catch_unwind(|| AllowedHosts::new(greet, [host]));
        let message = made.err().unwrap().downcast::<String>().unwrap();
        assert!(message.starts_with(&format!("`{host}` is no host")));
    }
}

#[tokio::test]
async fn a_websocket_is_opened_by_pages_of_the_same_origin_only() {
    let client = client(WebSocketOrigins::new(Lint::new(greet).strict()));
    for (host, origin, status) in [
        ("example.com", "http://example.com", 101),
        ("example.com", "HTTP://Example.COM", 101),
        ("example.com:80", "http://example.com", 101),
        ("example.com", "http://example.com:80", 101),
        ("example.com:8000", "http://example.com:8000", 101),
        ("[::1]:8000", "http://[0::1]:8000", 101),
        // A proxy has ended the TLS.
        ("example.com", "https://example.com", 101),
        ("example.com:443", "https://example.com", 101),
        ("example.com", "http://evil.example", 403),
        ("example.com", "http://www.example.com", 403),
        ("example.com", "http://example.com.evil", 403),
        ("example.com", "http://example.com:8000", 403),
        ("example.com:8000", "http://example.com", 403),
        ("example.com:80", "https://example.com", 403),
        ("example.com", "null", 403),
        ("example.com", "", 403),
        ("example.com", "example.com", 403),
        ("example.com", "http://example.com/", 403),
        ("example.com", "http://example.com http://evil", 403),
        ("example.com", "chrome-extension://example.com", 403),
        ("", "http://example.com", 403),
    ] {
        let fields = [("host", host), ("origin", origin)];
        assert_eq!(handshake(&client, &fields).await, status, "{fields:?}");
    }
    assert_eq!(handshake(&client, &[("host", "example.com")]).await, 101);
}

#[tokio::test]
async fn a_page_without_tls_opens_no_websocket_to_a_server_with_tls() {
    let client = client(WebSocketOrigins::new(greet)).scheme(Scheme::Https);
    for (origin, status) in [
        ("https://example.com", 101),
        ("https://example.com:443", 101),
        ("http://example.com", 403),
        ("http://example.com:443", 403),
    ] {
        let fields = [("host", "example.com"), ("origin", origin)];
        assert_eq!(handshake(&client, &fields).await, status, "{origin}");
    }
}

#[tokio::test]
async fn origins_on_the_list_open_websockets_too() {
    let app = WebSocketOrigins::new(greet)
        .allow("https://*.example.com")
        .allow("null");
    let client = client(app);
    for (origin, status) in [
        ("https://app.EXAMPLE.com", 101),
        ("null", 101),
        ("http://localhost", 101),
        ("https://example.com", 403),
        ("http://app.example.com", 403),
    ] {
        assert_eq!(
            handshake(&client, &[("origin", origin)]).await,
            status,
            "{origin}"
        );
    }
    let repeated = client.websocket("/").with_scope(|scope| {
        for origin in ["null", "null"] {
            scope.headers.append("origin", origin.parse().unwrap());
        }
    });
    let refused = repeated.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), StatusCode::FORBIDDEN);
    // A request that is no handshake is not looked at.
    let request = client.get("/").header("origin", "https://evil.example");
    assert_eq!(request.send().await.unwrap().status(), 200);
}
