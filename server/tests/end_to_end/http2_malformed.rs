//! Malformed requests over HTTP/2, each of which ends its own stream only.

use crate::support::http2::{Client, request, text};
use crate::support::http2_frames::{DATA, END_STREAM, HEADERS, RST_STREAM, RawClient, head};
use crate::support::{Server, Teller, Told, content, http, tell, whole, within};
use callgate::{AppError, HttpScope, Receiver, Sender};
use h2::Reason;
use http::{HeaderMap, HeaderValue, Request};

/// Receives the content, answers with it, and tells the `host` field and whether the content came.
async fn echo(
    teller: Teller<(String, bool)>,
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let host = scope.headers["host"].to_str().unwrap().to_owned();
    let content = content(&mut receiver).await;
    teller.tell((host, content.is_some()));
    whole(&sender, content.unwrap_or_default().0).await
}

fn echo_server() -> (Server, Told<(String, bool)>) {
    let (teller, told) = tell();
    (Server::start(http(teller, echo)), told)
}

/// Makes a request that must be reset as malformed.
async fn assert_malformed(client: &mut Client, request: Request<()>) {
    let description = format!("{request:?}");
    let (response, _) = client.requests.send_request(request, true).unwrap();
    let error = within(response).await.expect_err(&description);
    assert_eq!(
        error.reason(),
        Some(Reason::PROTOCOL_ERROR),
        "{description}"
    );
    assert!(error.is_remote());
}

#[tokio::test]
async fn http_40_a_value_with_a_blank_at_an_end_is_malformed() {
    let (server, mut told) = echo_server();
    let mut client = Client::connect(&server).await;
    for value in [" x", "x ", "\tx", "x\t", " ", "\t"] {
        for name in ["x-field", "cookie", "content-type"] {
            let mut request = request("/");
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
            assert_malformed(&mut client, request).await;
        }
    }
    assert!(told.is_empty());
    for value in ["", "x", "x \t y"] {
        let mut request = request("/");
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert("x-field", value);
        let (response, _) = client.requests.send_request(request, true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), 200);
        told.next().await;
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_40_a_trailer_value_with_a_blank_at_an_end_makes_the_content_malformed() {
    let (server, mut told) = echo_server();
    let mut client = Client::connect(&server).await;
    let (response, mut body) = client.begin(request("/"));
    body.send_data("content".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7 "));
    body.send_trailers(trailers).unwrap();
    assert!(!told.next().await.1, "the content was delivered");
    assert_eq!(within(response).await.unwrap().status(), 400);
    assert_eq!(client.text("/").await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn scope_10_a_host_that_differs_from_the_authority_is_malformed() {
    let (server, mut told) = echo_server();
    let mut client = Client::connect(&server).await;
    for (authority, hosts) in [
        ("test.example", &["other.example"][..]),
        ("test.example", &["test.example:8080"]),
        ("test.example:81", &["test.example"]),
        ("test.example", &["test.example:443"]),
        ("test.example", &["user@test.example"]),
        ("test.example", &[""]),
        ("test.example", &["test.example", "other.example"]),
        ("test.example", &["test.example", "test.example"]),
        ("user@test.example", &[]),
        ("user:secret@test.example", &["user:secret@test.example"]),
    ] {
        assert_malformed(&mut client, with_hosts(authority, hosts)).await;
    }
    assert!(told.is_empty());
    for (authority, host) in [
        ("test.example", "TEST.example"),
        ("test.example", "test.example:80"),
        ("test.example:80", "test.example"),
        ("test.example:81", "test.example:81"),
        ("[::1]:81", "[::1]:81"),
        ("[::1]", "[::1]:80"),
    ] {
        let request = with_hosts(authority, &[host]);
        let (response, _) = client.requests.send_request(request, true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), 200);
        assert_eq!(told.next().await.0, authority);
    }
    drop(client);
    server.finish().await;
}

fn with_hosts(authority: &str, hosts: &[&'static str]) -> Request<()> {
    let uri = format!("http://{authority}/");
    let mut request = Request::get(uri).body(()).unwrap();
    for host in hosts {
        let host = HeaderValue::from_static(host);
        request.headers_mut().append("host", host);
    }
    request
}

#[tokio::test]
async fn scope_10_a_request_without_authority_has_one_host_that_is_well_formed() {
    let (server, mut told) = echo_server();
    for (hosts, is_right) in [
        (&["test.example"][..], true),
        (&["test.example:81"], true),
        (&["test.example", "test.example"], false),
        (&["user@test.example"], false),
        (&["test example"], false),
    ] {
        let mut client = RawClient::connect(&server, &[]).await;
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/")];
        fields.extend(hosts.iter().map(|host| ("host", *host)));
        client.send_fields(END_STREAM, 1, &fields).await;
        if is_right {
            client.frame_of(HEADERS).await.expect("a response");
            assert_eq!(told.next().await.0, hosts[0]);
        } else {
            let reset = client.frame_of(RST_STREAM).await.expect("a reset");
            assert_eq!(reset.reset_code(), 1, "{hosts:?}");
        }
    }
    assert!(told.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn a_connect_with_a_length_ends_its_own_stream_only() {
    let (server, mut told) = echo_server();
    let mut client = Client::connect(&server).await;
    let (waiting, mut content) = client.begin(request("/"));
    for _ in 0..3 {
        let mut connect = Request::connect("test.example:80").body(()).unwrap();
        let length = HeaderValue::from_static("1");
        connect.headers_mut().insert("content-length", length);
        let (response, _content) = client.begin(connect);
        let error = within(response).await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error:?}");
    }
    content.send_data("content".into(), true).unwrap();
    let response = within(waiting).await.unwrap();
    assert_eq!(text(response.into_body()).await.unwrap(), "content");
    assert!(told.next().await.1);
    assert_eq!(client.text("/").await, "");
    drop(client);
    server.finish().await;
}

/// The library that speaks HTTP/2 drops such a pseudo-field (a known limit).
#[tokio::test]
async fn a_pseudo_field_in_trailers_reaches_no_application_and_harms_no_stream() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        let (content, last) = content(&mut receiver).await.unwrap();
        teller.tell(last.trailers.map(|trailers| trailers.len()));
        whole(&sender, content).await
    }));
    let mut client = RawClient::connect(&server, &[]).await;
    client.send_fields(0, 1, &head("POST", "/")).await;
    client.send_fields(0, 3, &head("POST", "/")).await;
    client.send(DATA, 0, 1, b"one").await;
    let trailers = [(":path", "/admin"), ("x-sum", "3")];
    client.send_fields(END_STREAM, 1, &trailers).await;
    assert_eq!(told.next().await, Some(1));
    client.send(DATA, END_STREAM, 3, b"three").await;
    assert_eq!(told.next().await, None);
    let mut contents = Vec::new();
    for _ in 0..2 {
        contents.push(client.frame_of(DATA).await.unwrap().payload);
    }
    contents.sort();
    assert_eq!(contents, [b"one".to_vec(), b"three".to_vec()]);
    drop(client);
    server.finish().await;
}
