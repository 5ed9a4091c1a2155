//! `overview.md`: what a scope says of the header fields.

use callgate::HttpScope;
use http::HeaderMap;

use super::steps::{call_over, scope_over};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Asgi::Shared, Case, Outcome, case, must};
use crate::server_suite::exchange::Over::{Http1, Http2};
use crate::server_suite::request::Request;
use crate::server_suite::websocket::handshake;

const COOKIES: Asgi = Asgi::Differs("In ASGI it is the application that joins cookies.");

pub(super) const CASES: &[Case] = &[
    case!(
        the_fields: HEADERS_AS_RECEIVED, Shared,
        "Sends fields with names in upper and lower case, some repeated, some with lists, an empty \
         one and one that is not ASCII.",
        "The scope has each under its name in lower case, repeated ones separately and in order."
    ),
    case!(
        the_fields_over_http2: HEADERS_AS_RECEIVED, Shared,
        "Sends fields, some repeated and some with lists.",
        "The scope has each, repeated ones separately and in order."
    ),
    case!(
        the_fields_of_a_websocket: HEADERS_AS_RECEIVED, Shared,
        "Sends a handshake with repeated fields.",
        "The scope has each, repeated ones separately and in order."
    ),
    case!(
        cookies_over_http2: COOKIE_CRUMBS, COOKIES,
        "Sends three `cookie` fields.",
        "The scope has one `cookie` field, with the three joined by `; `."
    ),
    case!(
        the_authority_over_http2: AUTHORITY_IS_HOST, Shared,
        "Sends a request with an authority.",
        "The scope has it as the one `host` field."
    ),
    case!(
        pseudo_fields_over_http2: NO_PSEUDO_HEADERS, Shared,
        "Sends a request without fields of its own.",
        "No field in the scope is named like a pseudo-header field, with its colon or without."
    ),
    case!(
        requests_without_one_host: HOST_REQUIRED, Shared,
        "Sends requests of HTTP/1.1 without a `host` field, and with two of them.",
        "The answer is 400, and the application is not called."
    ),
];

/// That the fields of this name have these values.
fn has(fields: &HeaderMap, name: &str, values: &[&[u8]]) -> Outcome {
    let seen: Vec<_> = fields
        .get_all(name)
        .iter()
        .map(http::HeaderValue::as_bytes)
        .collect();
    must!(
        seen == values,
        "`{name}` is {:?}",
        seen.iter()
            .map(|value| value.escape_ascii().to_string())
            .collect::<Vec<_>>()
    );
    Ok(())
}

async fn the_fields(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nX-Many: one\r\nAccept: a, b\r\n\
        x-many: two\r\nX-MANY: one\r\nX-Empty:\r\nX-Octets: \xe9\xff\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n";
    client.send(request).await?;
    let app = server.call().await?;
    let fields = &app.http()?.headers;
    has(fields, "x-many", &[b"one", b"two", b"one"])?;
    has(fields, "accept", &[b"a, b"])?;
    has(fields, "x-empty", &[b""])?;
    has(fields, "x-octets", &[b"\xe9\xff"])?;
    has(fields, "cookie", &[b"a=1", b"b=2"])?;
    let upper = app
        .told_names()
        .find(|name| name.to_ascii_lowercase() != *name);
    must!(upper.is_none(), "a field is named {upper:?}");
    app.finish(Step::Decline).await
}

fn many(request: Request) -> Request {
    request
        .field("x-many", "one")
        .field("accept", "a, b")
        .field("x-many", "two")
        .field("x-many", "one")
}

fn has_many(fields: &HeaderMap) -> Outcome {
    has(fields, "x-many", &[b"one", b"two", b"one"])?;
    has(fields, "accept", &[b"a, b"])
}

async fn the_fields_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = many(Request::get("/"));
    has_many(&scope_over(Http2, server, &request).await?.headers)
}

async fn the_fields_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, app) = call_over(Http1, server, &many(handshake())).await?;
    has_many(&app.websocket()?.headers)?;
    app.finish(Step::Decline).await
}

async fn cookies_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::get("/")
        .field("cookie", "a=1")
        .field("cookie", "b=2; c=3")
        .field("cookie", "d=4");
    let scope: HttpScope = scope_over(Http2, bench.server().await?, &request).await?;
    has(&scope.headers, "cookie", &[b"a=1; b=2; c=3; d=4"])
}

async fn the_authority_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let scope = scope_over(Http2, bench.server().await?, &Request::get("/")).await?;
    has(&scope.headers, "host", &[b"test"])
}

async fn pseudo_fields_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, app) = call_over(Http2, server, &Request::get("/")).await?;
    let pseudo = app.told_names().find(|name| {
        let bare = name.trim_start_matches(':');
        name.starts_with(':') || matches!(bare, "method" | "scheme" | "authority" | "path")
    });
    must!(pseudo.is_none(), "there is a field named {pseudo:?}");
    app.finish(Step::Decline).await
}

async fn requests_without_one_host(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        let status = server.refuses(request).await?;
        must!(
            status == 400,
            "with `{}` the answer is {status}",
            hosts.escape_debug()
        );
    }
    Ok(())
}
