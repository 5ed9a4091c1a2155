//! `overview.md`: the header fields of a scope.

use callgate::{HttpScope, rule};
use http::HeaderMap;

use super::steps::{call_over, scope_over};
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP2, steps};
use crate::server_suite::client_exchange::Transport::{Http1, Http2};
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::websocket::handshake;

pub(super) const CASES: &[&[Case]] = &[
    HEADERS_AS_RECEIVED,
    COOKIE_CRUMBS,
    AUTHORITY_IS_HOST,
    NO_PSEUDO_HEADERS,
    HOST_REQUIRED,
];

const HEADERS_AS_RECEIVED: &[Case] = &[
    Case {
        rule: rule::HEADERS_AS_RECEIVED,
        name: "the_fields",
        transports: HTTP1,
        does: "Sends fields with names in upper and lower case, some repeated, some with lists, an empty one and one that is not ASCII.",
        must: "The scope has each, repeated ones separately and in order.",
        basis: Basis::Standard(&[
            demands(AsgiHttp, "HTTP Connection Scope"),
            demands(AsgiHttp, "WSGI encoding differences"),
        ]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nX-Many: one\r\nAccept: a, b\r\n\
        x-many: two\r\nX-MANY: one\r\nX-Empty:\r\nX-Octets: \xe9\xff\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n";
            client.send(request).await?;
            let app = server.call().await?;
            let fields = &app.http()?.headers;
            expect_values(fields, "x-many", &[b"one", b"two", b"one"])?;
            expect_values(fields, "accept", &[b"a, b"])?;
            expect_values(fields, "x-empty", &[b""])?;
            expect_values(fields, "x-octets", &[b"\xe9\xff"])?;
            expect_values(fields, "cookie", &[b"a=1", b"b=2"])?;
            app.finish(Step::Decline).await
        }),
    },
    Case {
        rule: rule::HEADERS_AS_RECEIVED,
        name: "names_in_lower_case",
        transports: HTTP1,
        does: "Sends fields with names in upper case.",
        must: "The scope has their names in lower case.",
        basis: Basis::CallgateOnly("ASGI recommends lower case, and does not require it"),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client
                .send("GET / HTTP/1.1\r\nHost: test\r\nX-MANY: one\r\n\r\n")
                .await?;
            let app = server.call().await?;
            let upper = app
                .raw_field_names()
                .find(|name| name.to_ascii_lowercase() != *name);
            must!(upper.is_none(), "a field is named {upper:?}");
            app.finish(Step::Decline).await
        }),
    },
    Case {
        rule: rule::HEADERS_AS_RECEIVED,
        name: "the_fields",
        transports: HTTP2,
        does: "Sends fields, some repeated and some with lists.",
        must: "The scope has each, repeated ones separately and in order.",
        basis: Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = with_repeated_fields(Request::get("/"));
            expect_repeated(&scope_over(Http2, server, &request).await?.headers)
        }),
    },
    Case {
        rule: rule::HEADERS_AS_RECEIVED,
        name: "the_fields_of_a_websocket",
        transports: HTTP1,
        does: "Sends a handshake with repeated fields.",
        must: "The scope has each, repeated ones separately and in order.",
        basis: Basis::Standard(&[demands(AsgiHttp, "Websocket Connection Scope")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, app) =
                call_over(Http1, server, &with_repeated_fields(handshake())).await?;
            expect_repeated(&app.websocket()?.headers)?;
            app.finish(Step::Decline).await
        }),
    },
];

/// Checks that the fields of this name have these values.
fn expect_values(fields: &HeaderMap, name: &str, values: &[&[u8]]) -> CaseResult {
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

fn with_repeated_fields(request: Request) -> Request {
    request
        .field("x-many", "one")
        .field("accept", "a, b")
        .field("x-many", "two")
        .field("x-many", "one")
}

fn expect_repeated(fields: &HeaderMap) -> CaseResult {
    expect_values(fields, "x-many", &[b"one", b"two", b"one"])?;
    expect_values(fields, "accept", &[b"a, b"])
}

const COOKIE_CRUMBS: &[Case] = &[Case {
    rule: rule::COOKIE_CRUMBS,
    name: "cookies",
    transports: HTTP2,
    does: "Sends three `cookie` fields.",
    must: "The scope has one `cookie` field, with the three joined by `; `.",
    basis: Basis::CallgateOnly("In ASGI the application joins cookies"),
    steps: steps!(async |fixture| {
        let request = Request::get("/")
            .field("cookie", "a=1")
            .field("cookie", "b=2; c=3")
            .field("cookie", "d=4");
        let scope: HttpScope = scope_over(Http2, fixture.server().await?, &request).await?;
        expect_values(&scope.headers, "cookie", &[b"a=1; b=2; c=3; d=4"])
    }),
}];

const AUTHORITY_IS_HOST: &[Case] = &[Case {
    rule: rule::AUTHORITY_IS_HOST,
    name: "the_authority",
    transports: HTTP2,
    does: "Sends a request with an authority.",
    must: "The scope has it as the one `host` field.",
    basis: Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]),
    steps: steps!(async |fixture| {
        let scope = scope_over(Http2, fixture.server().await?, &Request::get("/")).await?;
        expect_values(&scope.headers, "host", &[b"test"])
    }),
}];

const NO_PSEUDO_HEADERS: &[Case] = &[Case {
    rule: rule::NO_PSEUDO_HEADERS,
    name: "pseudo_fields",
    transports: HTTP2,
    does: "Sends a request without fields of its own.",
    must: "No field in the scope is named like a pseudo-header field, with its colon or without.",
    basis: Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let (_client, app) = call_over(Http2, server, &Request::get("/")).await?;
        let pseudo = app.raw_field_names().find(|name| {
            let bare = name.trim_start_matches(':');
            name.starts_with(':') || matches!(bare, "method" | "scheme" | "authority" | "path")
        });
        must!(pseudo.is_none(), "there is a field named {pseudo:?}");
        app.finish(Step::Decline).await
    }),
}];

const HOST_REQUIRED: &[Case] = &[Case {
    rule: rule::HOST_REQUIRED,
    name: "requests_without_one_host",
    transports: HTTP1,
    does: "Sends requests of HTTP/1.1 without a `host` field, and with two of them.",
    must: "The answer is 400, and the application is not called.",
    basis: Basis::Standard(&[demands(Rfc(9112), "3.2")]),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        for hosts in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
            let request = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
            let status = server.refused_status(request).await?;
            must!(
                status == 400,
                "with `{}` the answer is {status}",
                hosts.escape_debug()
            );
        }
        Ok(())
    }),
}];
