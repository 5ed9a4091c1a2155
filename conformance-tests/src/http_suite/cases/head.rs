//! RFC 9112, 2 to 5: the head of a request.

use super::super::case::{Case, steps};
use super::semantics::answer_to_large;
use crate::basis::Document::Rfc;
use crate::basis::{demands, recommends};
use crate::server_suite::result::{CaseResult, must};

/// The length of a target that few servers take, in bytes.
const LONG: usize = 256 * 1024;

const HOST: &str = "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that \
                    lacks a Host header field and to any request message that contains more than one Host header \
                    field line or a Host header field with an invalid field value.";

const GRAMMAR: &str = "When a server listening only for HTTP request messages [...] receives a sequence of octets that \
                       does not match the HTTP-message grammar aside from the robustness exceptions listed above, the \
                       server SHOULD respond with a 400 (Bad Request) response and close the connection.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an_empty_line_before_a_request",
        basis: recommends(Rfc(9112), "2.2"),
        sentence: "In the interest of robustness, a server that is expecting to receive and parse a request-line SHOULD \
                   ignore at least one empty line (CRLF) received prior to the request-line.",
        does: "Sends an empty line, and then GET.",
        must: "The answer is that of GET without an empty line.",
        steps: steps!(async |target| {
            let usual = target.response_of(target.path()).await?.status;
            let mut client = target.connect().await?;
            client.send(format!("\r\n{}", target.get(""))).await?;
            let status = client.response().await?.status;
            must!(status == usual, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "a_version_that_is_none",
        basis: recommends(Rfc(9112), "2.2"),
        sentence: GRAMMAR,
        does: "Sends the version `HTTP/one`.",
        must: "The answer is 400, and the connection is closed.",
        steps: steps!(async |target| {
            let request = target.get("").replacen("HTTP/1.1", "HTTP/one", 1);
            target.expect_refused(&request).await
        }),
    },
    Case {
        name: "a_line_without_a_colon",
        basis: recommends(Rfc(9112), "2.2"),
        sentence: GRAMMAR,
        does: "Sends a line of a head that is no field.",
        must: "The answer is 400, and the connection is closed.",
        steps: steps!(async |target| { target.expect_refused(&target.get("nonsense\r\n")).await }),
    },
    Case {
        name: "a_blank_before_the_first_field",
        basis: demands(Rfc(9112), "2.2"),
        sentence: "A recipient that receives whitespace between the start-line and the first header field MUST either reject \
                   the message as invalid or consume each whitespace-preceded line without further processing of it",
        does: "Sends `content-length` after a blank, as the first line, and a further request of this length.",
        must: "The answer is 4xx, or the connection is closed without an answer, or both requests are answered.",
        steps: steps!(async |target| {
            let answers = target
                .answers_to_no_length(" content-length: {}\r\n")
                .await?;
            expect_rejected_or_ignored(&answers)
        }),
    },
    Case {
        name: "a_bare_carriage_return",
        basis: demands(Rfc(9112), "2.2"),
        sentence: "A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR with SP \
                   before processing the element or forwarding the message.",
        does: "Sends a field with a carriage return and `content-length` in its value, and a further request of this length.",
        must: "The answer is 4xx, or the connection is closed without an answer, or both requests are answered.",
        steps: steps!(async |target| {
            let answers = target
                .answers_to_no_length("x-field: one\rcontent-length: {}\r\n")
                .await?;
            expect_rejected_or_ignored(&answers)
        }),
    },
    Case {
        name: "a_blank_in_the_target",
        basis: recommends(Rfc(9112), "3.2"),
        sentence: "Recipients of an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a 301 (Moved \
                   Permanently) redirect with the request-target properly encoded.",
        does: "Sends a target with a blank in it.",
        must: "The answer is 400 or 301.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.request("GET", "/a b", "")).await?;
            let status = client.response().await?.status;
            must!(matches!(status, 400 | 301), "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "a_target_that_is_long",
        basis: demands(Rfc(9112), "3"),
        sentence: "A server that receives a request-target longer than any URI it wishes to parse MUST respond with a 414 \
                   (URI Too Long) status code",
        does: "Sends a target of 256 KiB.",
        must: "The answer is that to a target of this path with a short query, or 414.",
        steps: steps!(async |target| {
            let path = target.path();
            let usual = target.response_of(&format!("{path}?a")).await?.status;
            let long = format!("{path}?{}", "a".repeat(LONG));
            let request = target.request("GET", &long, "connection: close\r\n");
            let status = answer_to_large(target, &request).await?;
            must!(status == usual || status == 414, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "no_host",
        basis: demands(Rfc(9112), "3.2"),
        sentence: HOST,
        does: "Sends a request without `host`.",
        must: "The answer is 400.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            let path = target.path();
            client
                .send(format!("GET {path} HTTP/1.1\r\naccept: */*\r\n\r\n"))
                .await?;
            let status = client.response().await?.status;
            must!(status == 400, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "two_hosts",
        basis: demands(Rfc(9112), "3.2"),
        sentence: HOST,
        does: "Sends two lines of `host`.",
        must: "The answer is 400.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get("host: another\r\n")).await?;
            let status = client.response().await?.status;
            must!(status == 400, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "an_invalid_host",
        basis: demands(Rfc(9112), "3.2"),
        sentence: HOST,
        does: "Sends `host` with a blank in its value.",
        must: "The answer is 400.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            let path = target.path();
            client
                .send(format!("GET {path} HTTP/1.1\r\nhost: one host\r\n\r\n"))
                .await?;
            let status = client.response().await?.status;
            must!(status == 400, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "the_absolute_form",
        basis: demands(Rfc(9112), "3.2.2"),
        sentence: "A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the \
                   absolute-form to a proxy.",
        does: "Sends a whole URL as the target.",
        must: "The answer is that to the same request with the path as the target.",
        steps: steps!(async |target| {
            let usual = target.response_of(target.path()).await?.status;
            let url = format!(
                "{}://{}{}",
                target.scheme(),
                target.authority(),
                target.path()
            );
            let status = target.response_of(&url).await?.status;
            must!(status == usual, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "a_blank_before_a_colon",
        basis: demands(Rfc(9112), "5.1"),
        sentence: "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that \
                   contains whitespace between a header field name and colon.",
        does: "Sends a field with a blank between its name and the colon.",
        must: "The answer is 400.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get("x-field : one\r\n")).await?;
            let status = client.response().await?.status;
            must!(status == 400, "the answer is {status}");
            Ok(())
        }),
    },
    Case {
        name: "a_folded_line",
        basis: demands(Rfc(9112), "5.2"),
        sentence: "A server that receives an obs-fold in a request message that is not within a \"message/http\" container \
                   MUST either reject the message by sending a 400 (Bad Request), [...] or replace each received obs-fold \
                   with one or more SP octets prior to interpreting the field value or forwarding the message downstream.",
        does: "Sends a field whose second line is `content-length` after a blank, and a further request of this length.",
        must: "The answer is 400, or both requests are answered.",
        steps: steps!(async |target| {
            let answers = target
                .answers_to_no_length("x-field: one\r\n content-length: {}\r\n")
                .await?;
            must!(
                matches!(answers[..], [400, ..] | [_, _, ..]),
                "the answers are {answers:?}"
            );
            Ok(())
        }),
    },
];

/// Checks that a server has rejected a request, in any way, or has answered the further request too.
fn expect_rejected_or_ignored(answers: &[u16]) -> CaseResult {
    must!(
        matches!(answers, [] | [400..=499, ..] | [_, _, ..]),
        "the answers are {answers:?}"
    );
    Ok(())
}
