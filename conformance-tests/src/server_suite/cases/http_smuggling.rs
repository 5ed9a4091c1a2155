//! `http.md`: requests that could be read in two ways.

use callgate::rule;

use super::http_connection::CLOSURE_ALERT;
use super::steps::{content, expect_refused, respond};
use crate::basis::{Basis, Document::Rfc, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, steps};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::result::{CaseResult, must};

pub(super) const CASES: &[&[Case]] = &[
    CONFLICTING_LENGTHS,
    LENGTH_AND_CHUNKED,
    BAD_TRANSFER_ENCODING,
];

const CONFLICTING_LENGTHS_BASIS: Basis =
    Basis::Standard(&[demands(Rfc(9112), "6.3"), CLOSURE_ALERT]);

const CONFLICTING_LENGTHS: &[Case] = &[
    Case {
        rule: rule::CONFLICTING_LENGTHS,
        name: "two_lengths",
        transports: HTTP1,
        does: "Sends two `content-length` fields that differ.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: CONFLICTING_LENGTHS_BASIS,
        steps: steps!(async |fixture| {
            refused_fields(fixture, "content-length: 1\r\ncontent-length: 2").await
        }),
    },
    Case {
        rule: rule::CONFLICTING_LENGTHS,
        name: "two_lengths_in_one_field",
        transports: HTTP1,
        does: "Sends a `content-length` that lists two lengths which differ.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: CONFLICTING_LENGTHS_BASIS,
        steps: steps!(async |fixture| { refused_fields(fixture, "content-length: 1, 2").await }),
    },
];

const FURTHER: &str = "GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n";

/// Sends a request with these fields, and then what may be content or another request.
async fn refused_fields(fixture: &mut Fixture<'_>, fields: &str) -> CaseResult {
    let request = format!("POST / HTTP/1.1\r\nhost: test\r\n{fields}\r\n\r\n{FURTHER}");
    expect_refused(fixture, &request, 400).await
}

const LENGTH_AND_CHUNKED_BASIS: Basis =
    Basis::CallgateOnly("RFC 9112, 6.1 also permits to reject such a request");

const LENGTH_AND_CHUNKED: &[Case] = &[
    Case {
        rule: rule::LENGTH_AND_CHUNKED,
        name: "a_length_and_chunks",
        transports: HTTP1,
        does: "Sends `content-length`, `transfer-encoding: chunked`, and a further request.",
        must: "The content ends with the last chunk, and the connection is closed after the response.",
        basis: LENGTH_AND_CHUNKED_BASIS,
        steps: steps!(async |fixture| {
            both(
                fixture,
                "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            )
            .await
        }),
    },
    Case {
        rule: rule::LENGTH_AND_CHUNKED,
        name: "chunks_and_a_length",
        transports: HTTP1,
        does: "Sends `transfer-encoding: chunked`, `content-length`, and a further request.",
        must: "The content ends with the last chunk, and the connection is closed after the response.",
        basis: LENGTH_AND_CHUNKED_BASIS,
        steps: steps!(async |fixture| {
            both(
                fixture,
                "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
            )
            .await
        }),
    },
];

async fn both(fixture: &mut Fixture<'_>, fields: &str) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: test\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n{FURTHER}"
        ))
        .await?;
    let mut app = server.call().await?;
    let received = content(&mut app).await?;
    let text = received.escape_ascii().to_string();
    must!(
        text.contains("hello") && !text.contains("smuggled"),
        "the application received `{text}`"
    );
    respond(&mut app, "answer").await?;
    app.finish(Step::Return).await?;
    client.response().await?;
    client.expect_closed().await?;
    server.expect_no_call().await
}

const BAD_TRANSFER_ENCODING_BASIS: Basis = Basis::CallgateOnly(
    "RFC 9112, 6.1 recommends 501 for a transfer coding that the server does not know",
);

const BAD_TRANSFER_ENCODING: &[Case] = &[
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "a_coding_that_is_not_chunked",
        transports: HTTP1,
        does: "Sends `transfer-encoding: gzip`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: BAD_TRANSFER_ENCODING_BASIS,
        steps: steps!(async |fixture| { refused_fields(fixture, "transfer-encoding: gzip").await }),
    },
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "chunked_before_another_coding",
        transports: HTTP1,
        does: "Sends `transfer-encoding: chunked, gzip`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: BAD_TRANSFER_ENCODING_BASIS,
        steps: steps!(async |fixture| {
            refused_fields(fixture, "transfer-encoding: chunked, gzip").await
        }),
    },
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "chunked_before_another_coding_in_a_field_of_its_own",
        transports: HTTP1,
        does: "Sends `transfer-encoding: chunked` and then `transfer-encoding: gzip`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: BAD_TRANSFER_ENCODING_BASIS,
        steps: steps!(async |fixture| {
            let fields = "transfer-encoding: chunked\r\ntransfer-encoding: gzip";
            refused_fields(fixture, fields).await
        }),
    },
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "a_coding_that_ends_like_chunked",
        transports: HTTP1,
        does: "Sends `transfer-encoding: xchunked`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: BAD_TRANSFER_ENCODING_BASIS,
        steps: steps!(async |fixture| {
            refused_fields(fixture, "transfer-encoding: xchunked").await
        }),
    },
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "a_bad_coding_and_a_length",
        transports: HTTP1,
        does: "Sends `transfer-encoding: identity` along with `content-length`.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: BAD_TRANSFER_ENCODING_BASIS,
        steps: steps!(async |fixture| {
            refused_fields(fixture, "content-length: 3\r\ntransfer-encoding: identity").await
        }),
    },
    Case {
        rule: rule::BAD_TRANSFER_ENCODING,
        name: "chunks_in_http10",
        transports: HTTP1,
        does: "Sends `transfer-encoding: chunked` in an HTTP/1.0 request.",
        must: "The answer is 400, the connection is closed, and the application is not called.",
        basis: Basis::CallgateOnly("RFC 9112, 6.1 asks for the end of the connection, not for 400"),
        steps: steps!(async |fixture| {
            let request = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
            expect_refused(fixture, request, 400).await
        }),
    },
];
