//! RFC 9113, 8: malformed requests.

use super::super::case::{Case, steps};
use super::super::raw_http2::{headers, last_data};
use super::super::target::Target;
use super::http2::{expect_malformed, request};
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::demands;
use crate::server_suite::result::CaseResult;

const REFUSED: &str = "The stream is reset or the connection is ended, or the answer has another status than that of the request \
                       when it is well-formed.";

const LENGTH: &str = "A request or response is also malformed if the value of a content-length header field does not equal the sum \
                      of the DATA frame payload lengths that form the content, unless the message is defined as having no \
                      content. [...] Malformed requests or responses that are detected MUST be treated as a stream error \
                      (Section 5.4.2) of type PROTOCOL_ERROR.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a_length_that_does_not_match",
        basis: demands(Rfc(9113), "8.1.1"),
        sentence: LENGTH,
        does: "Sends content of 5 bytes with `content-length: 3`.",
        must: REFUSED,
        steps: steps!(async |target| {
            // A response that does not depend on the content may come before the content is read (8.1.1).
            let path = target.options.content_path.as_deref().ok_or_else(|| {
                Verdict::NotApplicable(
                    "it needs --content-path, a path that answers after the content".into(),
                )
            })?;
            let frames = |length| {
                let mut fields = request(target);
                fields[0].1 = "POST";
                fields[3].1 = path;
                fields.push(("content-length", length));
                [headers(1, &fields, true), last_data(1, "hello")].concat()
            };
            expect_malformed(target, &frames("5"), &frames("3")).await
        }),
    },
    Case {
        name: "a_name_in_upper_case",
        basis: demands(Rfc(9113), "8.2.1"),
        sentence: "A field name MUST NOT contain characters in the ranges 0x00-0x20, 0x41-0x5a, or 0x7f-0xff (all ranges inclusive). \
                   [...] A request or response that contains a field that violates any of these conditions MUST be treated as \
                   malformed (Section 8.1.1).",
        does: "Sends a field whose name has upper-case letters.",
        must: REFUSED,
        steps: steps!(async |target| { expect_malformed_field(target, ("X-Upper", "one")).await }),
    },
    Case {
        name: "a_field_of_the_connection",
        basis: demands(Rfc(9113), "8.2.2"),
        sentence: "Any message containing connection-specific header fields MUST be treated as malformed (Section 8.1.1).",
        does: "Sends the field `connection`.",
        must: REFUSED,
        steps: steps!(async |target| {
            expect_malformed_field(target, ("connection", "close")).await
        }),
    },
    Case {
        name: "te_other_than_trailers",
        basis: demands(Rfc(9113), "8.2.2"),
        sentence: "Any message containing connection-specific header fields MUST be treated as malformed (Section 8.1.1). The only \
                   exception to this is the TE header field, which MAY be present in an HTTP/2 request; when it is, it MUST NOT \
                   contain any value other than \"trailers\".",
        does: "Sends `te: gzip`.",
        must: REFUSED,
        steps: steps!(async |target| { expect_malformed_field(target, ("te", "gzip")).await }),
    },
    Case {
        name: "a_field_of_no_pseudo_header",
        basis: demands(Rfc(9113), "8.3"),
        sentence: "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header fields as malformed \
                   (Section 8.1.1).",
        does: "Sends the field `:other`.",
        must: REFUSED,
        steps: steps!(async |target| { expect_malformed_field(target, (":other", "one")).await }),
    },
    Case {
        name: "a_pseudo_header_after_a_field",
        basis: demands(Rfc(9113), "8.3"),
        sentence: "Any request or response that contains a pseudo-header field that appears in a field block after a regular field line \
                   MUST be treated as malformed (Section 8.1.1).",
        does: "Sends a field before `:path`.",
        must: REFUSED,
        steps: steps!(async |target| {
            let mut fields = request(target);
            fields.insert(3, ("x-first", "1"));
            expect_malformed_request(target, &fields).await
        }),
    },
    Case {
        name: "a_pseudo_header_twice",
        basis: demands(Rfc(9113), "8.3"),
        sentence: "The same pseudo-header field name MUST NOT appear more than once in a field block. A field block for an HTTP request \
                   or response that contains a repeated pseudo-header field name MUST be treated as malformed (Section 8.1.1).",
        does: "Sends `:path` twice.",
        must: REFUSED,
        steps: steps!(async |target| { expect_malformed_field(target, (":path", "/twice")).await }),
    },
    Case {
        name: "no_path",
        basis: demands(Rfc(9113), "8.3.1"),
        sentence: "All HTTP/2 requests MUST include exactly one valid value for the \":method\", \":scheme\", and \":path\" \
                   pseudo-header fields, unless they are CONNECT requests (Section 8.5). An HTTP request that omits mandatory \
                   pseudo-header fields is malformed (Section 8.1.1).",
        does: "Sends a request without `:path`.",
        must: REFUSED,
        steps: steps!(async |target| {
            let mut fields = request(target);
            fields[3].0 = "xpath";
            expect_malformed_request(target, &fields).await
        }),
    },
];

/// Sends a request with this field, which makes it malformed.
async fn expect_malformed_field(target: &Target<'_>, field: (&str, &str)) -> CaseResult {
    let mut fields = request(target);
    fields.push(field);
    expect_malformed_request(target, &fields).await
}

/// Sends a request with these fields, which are malformed.
async fn expect_malformed_request(target: &Target<'_>, fields: &[(&str, &str)]) -> CaseResult {
    let well_formed = headers(1, &request(target), false);
    expect_malformed(target, &well_formed, &headers(1, fields, false)).await
}
