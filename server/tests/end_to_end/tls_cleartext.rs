//! Addresses for cleartext beside those that speak TLS, and the redirect to HTTPS.

use std::net::{Ipv4Addr, SocketAddr};

use callgate::{HttpScope, Scheme};
use callgate_server::{Config, ServeError};

use crate::support::frames::handshake;
#[cfg(feature = "cli")]
use crate::support::log::Log;
use crate::support::tls::{Authority, connect};
use crate::support::{Client, Server, config, get, http, http2, post, says, whole, within};

/// Adds an address for cleartext.
fn with_cleartext(config: Config) -> Config {
    config.insecure_bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// Starts a server that redirects. Returns the port for TLS, and the server with its address for cleartext.
fn redirecting(change: impl FnOnce(&mut Config)) -> (u16, Server) {
    let config = with_cleartext(config()).ssl_self_signed(true);
    let mut config = config.redirect_to_https(true);
    change(&mut config);
    let mut server = Server::with(config, says("served"));
    let [secured, cleartext] = server.addresses[..] else {
        panic!("{:?}", server.addresses);
    };
    server.address = cleartext;
    (secured.port(), server)
}

#[tokio::test]
async fn each_address_speaks_what_it_is_for() {
    let authority = Authority::new();
    let app = http((), async |(), scope: HttpScope, _, sender| {
        let is_secured = scope.tls.is_some();
        assert_eq!(is_secured, scope.scheme == Scheme::Https);
        whole(&sender, scope.scheme.as_str()).await
    });
    let mut server = Server::with(with_cleartext(authority.config("a.test")), app);
    let secured = connect(&server, authority.client(), "a.test").await;
    let mut client = Client::over(secured.unwrap());
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, "https");
    drop(client);
    server.address = server.addresses[1];
    assert_eq!(server.ask(get("/")).await.body, "http");
    server.finish().await;
}

#[tokio::test]
async fn every_request_in_cleartext_is_redirected_and_its_connection_closed() {
    let (port, server) = redirecting(|_| {});
    for (method, target, expected) in [
        ("GET", "/a%20b?c", "/a%20b?c"),
        ("HEAD", "http://a.test/b", "/b"),
        ("POST", "/", "/"),
        ("OPTIONS", "*", ""),
    ] {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: a.test:80\r\ncontent-length: 1000000\r\n\r\n"
        );
        let response = server.ask_all(request).await;
        assert!(response.starts_with("HTTP/1.1 308 "), "{response}");
        let location = format!("\r\nlocation: https://a.test:{port}{expected}\r\n");
        assert!(response.contains(&location), "{response}");
        assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    }
    let mut client = http2::Client::connect(&server).await;
    let response = client.get("/a?b").await.unwrap();
    assert_eq!(response.status(), 308);
    let location = format!("https://test.example:{port}/a?b");
    assert_eq!(response.headers()["location"], location);
}

#[tokio::test]
async fn a_request_without_a_host_and_a_websocket_are_not_redirected() {
    let (_, server) = redirecting(|_| {});
    for head in ["HTTP/1.0", "HTTP/1.1\r\nhost:"] {
        let response = server.ask(format!("GET / {head}\r\n\r\n")).await;
        assert_eq!(response.status, 400, "{head}");
        assert!(response.body.contains("no `host`"), "{}", response.body);
    }
    let response = server.ask(handshake("/", "")).await;
    assert_eq!(response.status, 403);
    assert!(response.body.contains("connect by wss"), "{response:?}");
    let mut client = http2::Client::connect(&server).await;
    let (response, _) = http2::open(&mut client, "/").await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn a_request_that_came_to_a_trusted_proxy_over_https_is_served() {
    let request =
        |scheme| format!("GET / HTTP/1.1\r\nhost: a.test\r\nx-forwarded-proto: {scheme}\r\n\r\n");
    let (_, server) = redirecting(|_| {});
    assert_eq!(server.ask(request("https")).await.body, "served");
    assert_eq!(server.ask(request("http")).await.status, 308);
    // A client that is not trusted may say what it likes.
    let (_, server) =
        redirecting(|config| config.proxy.forwarded_allow_ips = "192.0.2.1".parse().unwrap());
    assert_eq!(server.ask(request("https")).await.status, 308);
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_redirect_is_logged_as_an_exchange_and_not_as_a_rejected_request() {
    let (log, _guard) = Log::capture();
    let (_, server) = redirecting(|config| config.log.access = true);
    assert_eq!(server.ask(get("/a")).await.status, 308);
    assert_eq!(server.ask("GET / HTTP/1.0\r\n\r\n").await.status, 400);
    server.finish().await;
    let text = log.text();
    let lines_with = |text: &str, part: &str| text.lines().filter(|it| it.contains(part)).count();
    assert_eq!(
        lines_with(&text, "\"GET /a HTTP/1.1\" 308 Permanent Redirect"),
        1
    );
    assert_eq!(lines_with(&text, "308 "), 1, "{text}");
    assert_eq!(lines_with(&text, "400 Bad Request"), 1, "{text}");
    assert_eq!(lines_with(&text, "there is no `host`"), 1, "{text}");
}

#[tokio::test]
async fn a_health_check_is_answered_where_other_requests_are_redirected() {
    let (_, server) = redirecting(|config| config.admin.health_path = Some("/health".into()));
    server.started().await;
    let health = server.ask(get("/health?from=balancer")).await;
    assert_eq!((health.status, &*health.body), (200, "ok\n"));
    let mut client = http2::Client::connect(&server).await;
    assert_eq!(client.get("/health").await.unwrap().status(), 200);
    for request in [get("/healthy"), post("/health", "")] {
        assert_eq!(server.ask(request).await.status, 308);
    }
}

#[tokio::test]
async fn a_redirect_without_an_address_in_cleartext_is_an_error() {
    let config = config().ssl_self_signed(true).redirect_to_https(true);
    let serving = callgate_server::Server::new(says("served"))
        .config(config)
        .serve_until(std::future::pending());
    let error = within(serving).await.unwrap_err();
    assert!(matches!(error, ServeError::Conflict { .. }), "{error}");
}
