//! `http.md`: requests that could be read in two ways.

use super::steps::{content, refused, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};

const REJECTED: &str = "RFC 9112 lets a server also reject such a request";
const UNKNOWN: &str = "RFC 9112 recommends 501 for a transfer coding that the server does not know";
const HTTP10: &str = "RFC 9112 asks for the end of the connection, not for 400";

pub(super) const CASES: &[Case] = &[
    case!(
        two_lengths: CONFLICTING_LENGTHS, Shared,
        "Sends two `content-length` fields that differ.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        two_lengths_in_one_field: CONFLICTING_LENGTHS, Shared,
        "Sends a `content-length` that lists two lengths which differ.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_length_and_chunks: LENGTH_AND_CHUNKED, Differs(REJECTED),
        "Sends `content-length`, `transfer-encoding: chunked`, and a further request.",
        "The content ends with the last chunk, and the connection is closed after the response."
    ),
    case!(
        chunks_and_a_length: LENGTH_AND_CHUNKED, Differs(REJECTED),
        "Sends `transfer-encoding: chunked`, `content-length`, and a further request.",
        "The content ends with the last chunk, and the connection is closed after the response."
    ),
    case!(
        a_coding_that_is_not_chunked: BAD_TRANSFER_ENCODING, Differs(UNKNOWN),
        "Sends `transfer-encoding: gzip`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        chunked_before_another_coding: BAD_TRANSFER_ENCODING, Differs(UNKNOWN),
        "Sends `transfer-encoding: chunked, gzip`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        chunked_before_another_coding_in_a_field_of_its_own: BAD_TRANSFER_ENCODING, Differs(UNKNOWN),
        "Sends `transfer-encoding: chunked` and then `transfer-encoding: gzip`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_coding_that_ends_like_chunked: BAD_TRANSFER_ENCODING, Differs(UNKNOWN),
        "Sends `transfer-encoding: xchunked`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_bad_coding_and_a_length: BAD_TRANSFER_ENCODING, Differs(UNKNOWN),
        "Sends `transfer-encoding: identity` along with `content-length`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        chunks_in_http10: BAD_TRANSFER_ENCODING, Differs(HTTP10),
        "Sends `transfer-encoding: chunked` in an HTTP/1.0 request.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
];

const FURTHER: &str = "GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n";

async fn two_lengths(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "content-length: 1\r\ncontent-length: 2").await
}

async fn two_lengths_in_one_field(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "content-length: 1, 2").await
}

/// Sends a request with these fields, and then what may be content or another request.
async fn refused_fields(bench: &mut Bench<'_>, fields: &str) -> Outcome {
    let request = format!("POST / HTTP/1.1\r\nhost: test\r\n{fields}\r\n\r\n{FURTHER}");
    refused(bench, &request, 400).await
}

async fn a_length_and_chunks(bench: &mut Bench<'_>) -> Outcome {
    both(bench, "content-length: 3\r\ntransfer-encoding: chunked\r\n").await
}

async fn chunks_and_a_length(bench: &mut Bench<'_>) -> Outcome {
    both(bench, "transfer-encoding: chunked\r\ncontent-length: 3\r\n").await
}

async fn both(bench: &mut Bench<'_>, fields: &str) -> Outcome {
    let server = bench.server().await?;
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
    client.is_closed().await?;
    server.was_not_called().await
}

async fn a_coding_that_is_not_chunked(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "transfer-encoding: gzip").await
}

async fn chunked_before_another_coding(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "transfer-encoding: chunked, gzip").await
}

async fn chunked_before_another_coding_in_a_field_of_its_own(bench: &mut Bench<'_>) -> Outcome {
    let fields = "transfer-encoding: chunked\r\ntransfer-encoding: gzip";
    refused_fields(bench, fields).await
}

async fn a_coding_that_ends_like_chunked(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "transfer-encoding: xchunked").await
}

async fn a_bad_coding_and_a_length(bench: &mut Bench<'_>) -> Outcome {
    refused_fields(bench, "content-length: 3\r\ntransfer-encoding: identity").await
}

async fn chunks_in_http10(bench: &mut Bench<'_>) -> Outcome {
    let request = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(bench, request, 400).await
}
