//! `http.md`: requests on a connection, and heads that are refused.

use callgate::rule;

use super::steps::{answered, expect_refused, respond};
use crate::basis::{Basis, Citation, Document::Rfc, demands, recommends};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP2, steps};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};

pub(super) const CASES: &[&[Case]] = &[
    PIPELINING,
    MALFORMED_REQUEST,
    OVERSIZED_HEAD,
    UNSUPPORTED_VERSION,
];

const PIPELINING_BASIS: Basis = Basis::Standard(&[demands(Rfc(9112), "9.3.2")]);

const PIPELINING: &[Case] = &[
    Case {
        rule: rule::PIPELINING,
        name: "pipelined_requests",
        transports: HTTP1,
        does: "Sends four requests at once, of which the first takes longest.",
        must: "The responses come in the order of the requests.",
        basis: PIPELINING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let mut requests = Request::get("/0").http1();
            for (target, answer) in [("/1", "1"), ("/2", "2"), ("/3", "3")] {
                requests.extend(answered(Request::get(target), answer).http1());
            }
            client.send(requests).await?;
            let mut first = server.call().await?;
            respond(&mut first, "0").await?;
            first.finish(Step::Return).await?;
            for expected in ["0", "1", "2", "3"] {
                let text = client.response().await?.text();
                must!(text == expected, "response {expected} is `{text}`");
            }
            for _ in 1..=3 {
                server.call().await?.ended().await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::PIPELINING,
        name: "pipelined_requests_with_content",
        transports: HTTP1,
        does: "Sends three requests with content at once, which the application does not receive.",
        must: "The responses come in the order of the requests.",
        basis: PIPELINING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let mut requests = Vec::new();
            for answer in ["0", "1", "2"] {
                let request = Request::new("POST", "/").body("GET /smuggled HTTP/1.1\r\n\r\n");
                requests.extend(answered(request, answer).http1());
            }
            client.send(requests).await?;
            for expected in ["0", "1", "2"] {
                let text = client.response().await?.text();
                must!(text == expected, "response {expected} is `{text}`");
                server.call().await?.ended().await?;
            }
            Ok(())
        }),
    },
];

/// Over TLS, a connection is closed once the server has sent `close_notify`.
pub(super) const CLOSURE_ALERT: Citation = demands(Rfc(9112), "9.8");

const GRAMMAR_BASIS: Basis = Basis::Standard(&[recommends(Rfc(9112), "2.2"), CLOSURE_ALERT]);

const REQUEST_LINE_BASIS: Basis = Basis::CallgateOnly(
    "RFC 9112, 3.2 recommends 400 or a redirect for an invalid request line, and demands neither",
);

const LENGTH_BASIS: Basis = Basis::Standard(&[demands(Rfc(9112), "6.3"), CLOSURE_ALERT]);

const MALFORMED_REQUEST: &[Case] = &[
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "octets_that_are_no_text",
        transports: HTTP1,
        does: "Sends a line of NUL octets.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly(
            "RFC 9113, 3.4 lets a server that also speaks HTTP/2 take the octets for a malformed preface",
        ),
        steps: steps!(async |fixture| {
            expect_refused(fixture, "\0\0\0\0\0\0\0\0\r\n\r\n", 400).await
        }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_method_that_is_no_token",
        transports: HTTP1,
        does: "Sends a method with an `@` in it.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: REQUEST_LINE_BASIS,
        steps: steps!(async |fixture| {
            expect_refused(fixture, "G@T / HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
        }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_target_that_is_none",
        transports: HTTP1,
        does: "Sends a target that has no `/` in front and is not absolute.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: REQUEST_LINE_BASIS,
        steps: steps!(async |fixture| {
            expect_refused(fixture, "GET nothing HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
        }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_target_with_a_space",
        transports: HTTP1,
        does: "Sends a target with a space in it.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: REQUEST_LINE_BASIS,
        steps: steps!(async |fixture| {
            expect_refused(fixture, "GET /a b HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
        }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_space_in_a_field_name",
        transports: HTTP1,
        does: "Sends a field whose name has a space in it.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: GRAMMAR_BASIS,
        steps: steps!(async |fixture| { refused_field(fixture, "bad name: x").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_space_before_the_colon",
        transports: HTTP1,
        does: "Sends a field with a space between name and colon.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::Standard(&[demands(Rfc(9112), "5.1"), recommends(Rfc(9112), "2.2")]),
        steps: steps!(async |fixture| { refused_field(fixture, "name : x").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_space_before_the_first_field",
        transports: HTTP1,
        does: "Sends a space in front of the name of the first field.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly(
            "RFC 9112, 2.2 also permits to skip lines before the first field that begin with a space",
        ),
        steps: steps!(async |fixture| {
            let request = "GET / HTTP/1.1\r\n x: a\r\nhost: test\r\n\r\n";
            expect_refused(fixture, request, 400).await
        }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_field_without_a_colon",
        transports: HTTP1,
        does: "Sends a line without a colon among the fields.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: GRAMMAR_BASIS,
        steps: steps!(async |fixture| { refused_field(fixture, "no colon").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_field_without_a_name",
        transports: HTTP1,
        does: "Sends a line among the fields that begins with a colon.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: GRAMMAR_BASIS,
        steps: steps!(async |fixture| { refused_field(fixture, ": x").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_folded_field",
        transports: HTTP1,
        does: "Sends a field that goes on in a line which begins with a space.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly("RFC 9112, 5.2 also permits to replace the fold by spaces"),
        steps: steps!(async |fixture| { refused_field(fixture, "x: a\r\n folded").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_nul_in_a_value",
        transports: HTTP1,
        does: "Sends a field with a NUL in its value.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly("RFC 9110, 5.5 also permits to replace the octet by a space"),
        steps: steps!(async |fixture| { refused_field(fixture, "x: a\0b").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_bare_carriage_return_in_a_value",
        transports: HTTP1,
        does: "Sends a field with a CR in its value that no LF follows.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly("RFC 9112, 2.2 also permits to replace the octet by a space"),
        steps: steps!(async |fixture| { refused_field(fixture, "x: a\rcontent-length: 5").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_length_that_is_no_number",
        transports: HTTP1,
        does: "Sends `content-length: 1x`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: LENGTH_BASIS,
        steps: steps!(async |fixture| { refused_field(fixture, "content-length: 1x").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_length_with_a_sign",
        transports: HTTP1,
        does: "Sends `content-length: +1`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: LENGTH_BASIS,
        steps: steps!(async |fixture| { refused_field(fixture, "content-length: +1").await }),
    },
    Case {
        rule: rule::MALFORMED_REQUEST,
        name: "a_length_beyond_64_bits",
        transports: HTTP1,
        does: "Sends a `content-length` of 23 digits.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly(
            "RFC 9110, 8.6 has no limit to a length: a server may wait for the content, or answer 413",
        ),
        steps: steps!(async |fixture| {
            refused_field(fixture, "content-length: 99999999999999999999999").await
        }),
    },
];

/// Sends a request with this line among its fields, and another one after it.
async fn refused_field(fixture: &mut Fixture<'_>, line: &str) -> CaseResult {
    let request = format!(
        "GET / HTTP/1.1\r\nhost: test\r\n{line}\r\n\r\n\
         POST /smuggled HTTP/1.1\r\nhost: test\r\n\r\n"
    );
    expect_refused(fixture, &request, 400).await
}

const OVERSIZED_HEAD_BASIS: Basis =
    Basis::CallgateOnly("RFC 9110, 5.4 asks for some status of the 4xx class");

const OVERSIZED_HEAD: &[Case] = &[
    Case {
        rule: rule::OVERSIZED_HEAD,
        name: "a_field_of_256_kilobytes",
        transports: HTTP1,
        does: "Sends a head with one very large field.",
        must: "The answer is 431, and the application is not called.",
        basis: OVERSIZED_HEAD_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::get("/").field("x", &"x".repeat(LARGE));
            oversized(fixture, &request, &[431]).await
        }),
    },
    Case {
        rule: rule::OVERSIZED_HEAD,
        name: "fields_of_256_kilobytes",
        transports: HTTP1,
        does: "Sends a head with very many fields.",
        must: "The answer is 431, and the application is not called.",
        basis: OVERSIZED_HEAD_BASIS,
        steps: steps!(async |fixture| {
            oversized(fixture, &with_many_fields(LARGE), &[431]).await
        }),
    },
    Case {
        rule: rule::OVERSIZED_HEAD,
        name: "fields_of_70_kilobytes",
        transports: HTTP2,
        does: "Sends a head with very many fields.",
        must: "The answer is 431, or the connection ends, and the application is not called.",
        basis: OVERSIZED_HEAD_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect_http2().await?;
            // Of a head of many more frames some servers take none.
            let request = with_many_fields(70_000);
            let exchange = client.begin(&request, false).await?;
            match exchange.answer().await? {
                Ok(response) => {
                    let status = response.head.status;
                    must!(status == 431, "the answer is {status}");
                }
                Err(error) => must!(
                    error.is_go_away() || error.is_io(),
                    "the connection goes on after {error}"
                ),
            }
            server.expect_no_call().await
        }),
    },
    Case {
        rule: rule::OVERSIZED_HEAD,
        name: "a_target_of_256_kilobytes",
        transports: HTTP1,
        does: "Sends a very long target.",
        must: "The answer is 414 or 431, and the application is not called.",
        basis: OVERSIZED_HEAD_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::get(&format!("/{}", "x".repeat(LARGE)));
            oversized(fixture, &request, &[414, 431]).await
        }),
    },
];

/// Larger than any server's limit that is not set to be, in bytes.
const LARGE: usize = 256 << 10;

fn with_many_fields(length: usize) -> Request {
    let mut request = Request::get("/");
    for number in 0..length / 64 {
        request = request.field(&format!("x-{number}"), &"x".repeat(64));
    }
    request
}

async fn oversized(fixture: &mut Fixture<'_>, request: &Request, expected: &[u16]) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    // The server need not take all of it.
    client.send_some(&request.http1()).await?;
    let status = client.head().await?.status;
    must!(expected.contains(&status), "the answer is {status}");
    server.expect_no_call().await
}

const UNSUPPORTED_VERSION_BASIS: Basis =
    Basis::CallgateOnly("RFC 9110, 15.6.6 permits 505, and does not demand it");

const UNSUPPORTED_VERSION: &[Case] = &[
    Case {
        rule: rule::UNSUPPORTED_VERSION,
        name: "http_3_0",
        transports: HTTP1,
        does: "Sends a request line that ends with `HTTP/3.0`.",
        must: "The answer is 505, the connection is closed, and the application is not called.",
        basis: UNSUPPORTED_VERSION_BASIS,
        steps: steps!(async |fixture| {
            expect_refused(fixture, "GET / HTTP/3.0\r\nhost: test\r\n\r\n", 505).await
        }),
    },
    Case {
        rule: rule::UNSUPPORTED_VERSION,
        name: "http_2_0_in_a_request_line",
        transports: HTTP1,
        does: "Sends a request line that ends with `HTTP/2.0`.",
        must: "The answer is 505, the connection is closed, and the application is not called.",
        basis: UNSUPPORTED_VERSION_BASIS,
        steps: steps!(async |fixture| {
            expect_refused(fixture, "GET / HTTP/2.0\r\nhost: test\r\n\r\n", 505).await
        }),
    },
];
