//! Trailer fields over both versions of HTTP and in both directions: the fields that `EXT-05` forbids
//! are left out, and all others arrive.

use callgate::message::{is_forbidden_trailer, is_hop_by_hop};
use callgate::{App, HttpResponseBody, HttpResponseStart, HttpResponseTrailers};
use http::header::TRAILER;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::support::{Server, Teller, content, http, http2, tell, whole, within};

/// The fields for which the `http` crate has a constant, fields that it has none for, and fields that
/// no standard defines.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges",
    "access-control-allow-origin", "age", "allow", "alt-svc", "authentication-info", "authorization",
    "cache-control", "cache-status", "connection", "content-digest", "content-disposition",
    "content-encoding", "content-language", "content-length", "content-location", "content-range",
    "content-security-policy", "content-type", "cookie", "date", "dnt", "etag", "expect", "expires",
    "forwarded", "from", "grpc-message", "grpc-status", "host", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "last-modified", "link",
    "location", "max-forwards", "origin", "pragma", "proxy-authenticate", "proxy-authentication-info",
    "proxy-authorization", "proxy-connection", "range", "referer", "referrer-policy", "refresh",
    "repr-digest", "retry-after", "server", "server-timing", "set-cookie", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning", "www-authenticate",
    "x-checksum", "x-forwarded-for",
];

/// A value that every field may have, `te` in HTTP/2 too (RFC 9113, 8.2.2).
const VALUE: &str = "trailers";

/// Returns the names that `EXT-05` allows.
fn allowed() -> Vec<&'static str> {
    let is_allowed = |name: &&'static str| !is_forbidden_trailer(&HeaderName::from_static(name));
    NAMES.iter().copied().filter(is_allowed).collect()
}

/// Returns fields of these names.
fn fields<'a>(names: impl IntoIterator<Item = &'a str>) -> HeaderMap {
    let field = |name: &str| (name.parse().unwrap(), HeaderValue::from_static(VALUE));
    names.into_iter().map(field).collect()
}

/// Returns the names of fields, in their order in the alphabet.
fn names(fields: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

/// Tells the trailer fields of each request.
fn tells_trailers(teller: Teller<HeaderMap>) -> impl App {
    http(teller, async |teller, _, mut receiver, sender| {
        let (_, last) = content(&mut receiver).await.unwrap();
        teller.tell(*last.trailers.unwrap_or_default());
        whole(&sender, "").await
    })
}

#[tokio::test]
async fn http_06_the_trailers_of_a_request_are_those_that_ext_05_allows() {
    let (teller, mut told) = tell();
    let server = Server::start(tells_trailers(teller));
    let lines: String = NAMES
        .iter()
        .map(|name| format!("{name}: {VALUE}\r\n"))
        .collect();
    let head = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    server
        .ask(format!("{head}1\r\nx\r\n0\r\n{lines}\r\n"))
        .await;
    assert_eq!(names(&told.next().await), allowed());
    server.finish().await;
}

#[tokio::test]
async fn http_06_the_trailers_of_a_request_over_http2_are_those_that_ext_05_allows() {
    let (teller, mut told) = tell();
    let server = Server::start(tells_trailers(teller));
    let mut client = http2::Client::connect(&server).await;
    let (response, mut body) = client.begin(Request::post("http://test/").body(()).unwrap());
    body.send_data("x".into(), false).unwrap();
    // In HTTP/2 a request with a field of the connection is malformed.
    let sent = NAMES.iter().copied();
    let sent = sent.filter(|name| !is_hop_by_hop(&HeaderName::from_static(name)));
    body.send_trailers(fields(sent)).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    assert_eq!(names(&told.next().await), allowed());
    drop(client);
    server.finish().await;
}

/// Sends all trailer fields that `EXT-05` allows.
fn sends_trailers() -> impl App {
    http((), async |(), _, _, sender| {
        let named = allowed().join(", ");
        let start = HttpResponseStart::ok().header(TRAILER, named);
        sender.send(start.with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        let trailers = HttpResponseTrailers::last(fields(allowed()));
        sender.send(trailers).await?;
        Ok(())
    })
}

#[tokio::test]
async fn ext_04_all_trailers_that_ext_05_allows_reach_the_client() {
    let server = Server::start(sends_trailers());
    let request = "GET / HTTP/1.1\r\nhost: test\r\nte: trailers\r\nconnection: te\r\n\r\n";
    let response = server.ask(request).await;
    let lines = response.trailers.lines();
    let mut received: Vec<&str> = lines.filter_map(|line| line.split(':').next()).collect();
    received.sort_unstable();
    assert_eq!(received, allowed());
    server.finish().await;
}

#[tokio::test]
async fn ext_04_all_trailers_that_ext_05_allows_reach_the_client_over_http2() {
    let server = Server::start(sends_trailers());
    let mut client = http2::Client::connect(&server).await;
    let mut body = client.get("/").await.unwrap().into_body();
    while let Some(data) = within(body.data()).await {
        data.unwrap();
    }
    let trailers = within(body.trailers()).await.unwrap().expect("trailers");
    assert_eq!(names(&trailers), allowed());
    drop(client);
    server.finish().await;
}
