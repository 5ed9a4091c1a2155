//! RFC 9112, 6 and 7: where the content of a message ends.

use super::super::case::{Case, steps};
use super::super::target::{Target, expect_end};
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::{demands, recommends};
use crate::server_suite::result::{CaseResult, must};

const LENGTH: &str = "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then \
                      the message framing is invalid and the recipient MUST treat it as an unrecoverable error [...] If the \
                      unrecoverable error is in a request message, the server MUST respond with a 400 (Bad Request) status code \
                      and then close the connection.";

const GRAMMAR: &str = "When a server listening only for HTTP request messages [...] receives a sequence of octets that \
                       does not match the HTTP-message grammar aside from the robustness exceptions listed above, the \
                       server SHOULD respond with a 400 (Bad Request) response and close the connection.";

const REFUSED: &str =
    "The answer is 400, and the connection is closed without an answer to a further request.";

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a_length_and_chunks",
        basis: demands(Rfc(9112), "6.1"),
        sentence: "Regardless, the server MUST close the connection after responding to such a request to avoid the potential \
                   attacks.",
        does: "Sends `content-length`, `transfer-encoding: chunked`, chunked content, and a further request.",
        must: "There is one answer, and then the connection is closed.",
        steps: steps!(async |target| {
            let head = target.post(&format!("content-length: 3\r\n{CHUNKED}"));
            target
                .expect_content_refused(&format!("{head}5\r\nhello\r\n0\r\n\r\n"))
                .await
        }),
    },
    Case {
        name: "chunks_in_http10",
        basis: demands(Rfc(9112), "6.1"),
        sentence: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat \
                   the message as if the framing is faulty, even if a Content-Length is present, and close the connection \
                   after processing the message.",
        does: "Sends chunked content in a request of HTTP/1.0 with `connection: keep-alive`, and a further request.",
        must: "There is at most one answer, and then the connection is closed.",
        steps: steps!(async |target| {
            let head = target.post(&format!("connection: keep-alive\r\n{CHUNKED}"));
            let head = head.replacen("HTTP/1.1", "HTTP/1.0", 1);
            target
                .expect_content_refused(&format!("{head}5\r\nhello\r\n0\r\n\r\n"))
                .await
        }),
    },
    Case {
        name: "no_chunks_to_http10",
        basis: demands(Rfc(9112), "6.1"),
        sentence: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request indicates \
                   HTTP/1.1 (or later minor revisions).",
        does: "Sends GET of HTTP/1.0 to a path that streams its content.",
        must: "The response has no `transfer-encoding`.",
        steps: steps!(async |target| {
            let path = target.options.streamed_path.as_deref().ok_or_else(|| {
                Verdict::NotApplicable("it needs --streamed-path, a path that streams".into())
            })?;
            let chunked = target.response_of(path).await?;
            if chunked.field("transfer-encoding").is_none() {
                let why = "the path of --streamed-path does not send chunks";
                return Err(Verdict::NotApplicable(why.into()));
            }
            let mut client = target.connect().await?;
            let request = target.request("GET", path, "");
            client
                .send(request.replacen("HTTP/1.1", "HTTP/1.0", 1))
                .await?;
            let head = client.head().await?;
            let coding = head.field("transfer-encoding");
            must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
            Ok(())
        }),
    },
    Case {
        name: "no_chunks_with_204",
        basis: demands(Rfc(9112), "6.1"),
        sentence: "A server MUST NOT send a Transfer-Encoding header field in any response with a status code of 1xx \
                   (Informational) or 204 (No Content).",
        does: "Sends GET to a path that answers 204.",
        must: "The response has no `transfer-encoding`.",
        steps: steps!(async |target| {
            let path = target.options.no_content_path.as_deref().ok_or_else(|| {
                Verdict::NotApplicable("it needs --no-content-path, a path that answers 204".into())
            })?;
            let response = target.response_of(path).await?;
            let coding = response.field("transfer-encoding");
            must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
            Ok(())
        }),
    },
    Case {
        name: "chunked_before_another_coding",
        basis: demands(Rfc(9112), "6.3"),
        sentence: "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the final \
                   encoding, the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad \
                   Request) status code and then close the connection.",
        does: "Sends `transfer-encoding: chunked, gzip`, and a further request.",
        // RFC 9112, 6.1 recommends 501 for a coding that the server does not know.
        must: "The answer is 400, or 501, and the connection is closed without an answer to a further request.",
        steps: steps!(async |target| {
            let head = target.post("transfer-encoding: chunked, gzip\r\n");
            let request = format!("{head}0\r\n\r\n");
            target.expect_refused_with(&request, &[400, 501]).await
        }),
    },
    Case {
        name: "two_lengths",
        basis: demands(Rfc(9112), "6.3"),
        sentence: LENGTH,
        does: "Sends `content-length: 0`, `content-length: 1`, and a further request.",
        must: REFUSED,
        steps: steps!(async |target| {
            let head = target.post("content-length: 0\r\ncontent-length: 1\r\n");
            target.expect_refused(&head).await
        }),
    },
    Case {
        name: "a_list_of_lengths",
        basis: demands(Rfc(9112), "6.3"),
        sentence: LENGTH,
        does: "Sends `content-length: 0, 1`, and a further request.",
        must: REFUSED,
        steps: steps!(async |target| {
            target
                .expect_refused(&target.post("content-length: 0, 1\r\n"))
                .await
        }),
    },
    Case {
        name: "a_length_with_a_sign",
        basis: demands(Rfc(9112), "6.3"),
        sentence: LENGTH,
        does: "Sends `content-length: +0`, and a further request.",
        must: REFUSED,
        steps: steps!(async |target| {
            target
                .expect_refused(&target.post("content-length: +0\r\n"))
                .await
        }),
    },
    Case {
        name: "a_negative_length",
        basis: demands(Rfc(9112), "6.3"),
        sentence: LENGTH,
        does: "Sends `content-length: -1`, and a further request.",
        must: REFUSED,
        steps: steps!(async |target| {
            target
                .expect_refused(&target.post("content-length: -1\r\n"))
                .await
        }),
    },
    Case {
        name: "a_hexadecimal_length",
        basis: demands(Rfc(9112), "6.3"),
        sentence: LENGTH,
        does: "Sends `content-length: 0x0`, and a further request.",
        must: REFUSED,
        steps: steps!(async |target| {
            target
                .expect_refused(&target.post("content-length: 0x0\r\n"))
                .await
        }),
    },
    Case {
        name: "chunked_content",
        basis: demands(Rfc(9112), "7.1"),
        sentence: "A recipient MUST be able to parse and decode the chunked transfer coding.",
        does: "Sends chunked content, and a further request.",
        must: "Both are answered, the first with another status than 400 and 501; or the server closes the connection after \
               the first answer.",
        steps: steps!(async |target| {
            let head = target.post(CHUNKED);
            expect_decoded(target, &format!("{head}5\r\nhello\r\n0\r\n\r\n")).await
        }),
    },
    Case {
        name: "a_size_that_overflows",
        basis: demands(Rfc(9112), "7.1"),
        sentence: "Therefore, recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer \
                   conversion overflows or precision loss due to integer representation.",
        does: "Sends a chunk whose size is 5 after an overflow of 64 bits, the last chunk, and a further request.",
        must: "The further request is not answered, and the connection is closed.",
        steps: steps!(async |target| {
            let head = target.post(CHUNKED);
            let request = format!("{head}10000000000000005\r\nhello\r\n0\r\n\r\n");
            target.expect_content_refused(&request).await
        }),
    },
    Case {
        name: "a_size_that_is_no_number",
        basis: recommends(Rfc(9112), "2.2"),
        sentence: GRAMMAR,
        does: "Sends a chunk whose size is `zz`, the last chunk, and a further request.",
        must: "The further request is not answered, and the connection is closed.",
        steps: steps!(async |target| {
            let head = target.post(CHUNKED);
            let request = format!("{head}zz\r\nhello\r\n0\r\n\r\n");
            target.expect_content_refused(&request).await
        }),
    },
    Case {
        name: "a_chunk_without_its_end",
        basis: recommends(Rfc(9112), "2.2"),
        sentence: GRAMMAR,
        does: "Sends a chunk with two other octets in place of its line break, the last chunk, and a further request.",
        must: "The further request is not answered, and the connection is closed.",
        steps: steps!(async |target| {
            let head = target.post(CHUNKED);
            let request = format!("{head}5\r\nhelloXX0\r\n\r\n");
            target.expect_content_refused(&request).await
        }),
    },
    Case {
        name: "a_chunk_extension",
        basis: demands(Rfc(9112), "7.1.1"),
        sentence: "A recipient MUST ignore unrecognized chunk extensions.",
        does: "Sends chunked content with an extension, and a further request.",
        must: "Both are answered, the first with another status than 400 and 501; or the server closes the connection after \
               the first answer.",
        steps: steps!(async |target| {
            let head = target.post(CHUNKED);
            expect_decoded(target, &format!("{head}5;one=two\r\nhello\r\n0\r\n\r\n")).await
        }),
    },
];

/// Sends a request with content, and a further request, which must be answered.
async fn expect_decoded(target: &Target<'_>, request: &str) -> CaseResult {
    let mut client = target.connect().await?;
    let further = target.get("connection: close\r\n");
    client.send(format!("{request}{further}")).await?;
    let first = client.response().await?.status;
    must!(!matches!(first, 400 | 501), "the answer is {first}");
    if client.is_at_end().await? {
        return Ok(());
    }
    let second = client.response().await?.status;
    must!(
        second != 400,
        "the further request is answered with {second}"
    );
    expect_end(&mut client).await
}
