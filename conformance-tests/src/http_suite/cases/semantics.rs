//! RFC 9110: methods, statuses, dates and expectations.

use super::super::case::{Case, steps};
use super::super::target::Target;
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::demands;
use crate::server_suite::http1::Http1;
use crate::server_suite::request::Response;
use crate::server_suite::result::{CaseResult, must};

/// The size of a field that few servers take, in bytes.
const LARGE: usize = 256 * 1024;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a_field_that_is_large",
        basis: demands(Rfc(9110), "5.4"),
        sentence: "A server that receives a request header field line, field value, or set of fields larger than it \
                   wishes to process MUST respond with an appropriate 4xx (Client Error) status code.",
        does: "Sends a field of 256 KiB.",
        must: "The answer is the answer to the same request without the field, or 4xx.",
        steps: steps!(async |target| {
            let usual = target.response_of(target.path()).await?.status;
            let value = "a".repeat(LARGE);
            let request = target.get(&format!("x-large: {value}\r\nconnection: close\r\n"));
            let status = answer_to_large(target, &request).await?;
            must!(
                status == usual || (400..=499).contains(&status),
                "the answer is {status}"
            );
            Ok(())
        }),
    },
    Case {
        name: "a_date",
        basis: demands(Rfc(9110), "6.6.1"),
        sentence: "An origin server with a clock (as defined in Section 5.6.7) MUST generate a Date header field in \
                   all 2xx (Successful), 3xx (Redirection), and 4xx (Client Error) responses",
        does: "Sends GET.",
        must: "The response has a `date`.",
        steps: steps!(async |target| {
            let response = target.response_of(target.path()).await?;
            let has_date = response.field("date").is_some();
            must!(has_date || response.status >= 500, "there is no `date`");
            Ok(())
        }),
    },
    Case {
        name: "the_length_of_head",
        basis: demands(Rfc(9110), "8.6"),
        sentence: "a server MUST NOT send Content-Length in such a response unless its field value equals the decimal \
                   number of octets that would have been sent in the content of a response if the same request had used \
                   the GET method.",
        does: "Sends HEAD, and then GET.",
        must: "`content-length` of the response to HEAD, if it is there, is the length of the content for GET.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client
                .send(target.request("HEAD", target.path(), "connection: close\r\n"))
                .await?;
            let head = client.response_to("HEAD").await?;
            let response = target.response_of(target.path()).await?;
            if head.status != response.status {
                return Err(Verdict::NotApplicable(
                    "HEAD is answered with another status".into(),
                ));
            }
            let length = response.body.len().to_string();
            must!(
                head.field("content-length")
                    .is_none_or(|value| value == length),
                "`content-length` is {:?}, and the content for GET has {length} bytes",
                head.field("content-length")
            );
            Ok(())
        }),
    },
    Case {
        name: "no_length_with_204",
        basis: demands(Rfc(9110), "8.6"),
        sentence: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx \
                   (Informational) or 204 (No Content).",
        does: "Sends GET to a path that answers 204.",
        must: "The response has no `content-length`.",
        steps: steps!(async |target| {
            let (_, response) = no_content(target).await?;
            let length = response.field("content-length");
            must!(length.is_none(), "`content-length` is {length:?}");
            Ok(())
        }),
    },
    Case {
        name: "head_without_content",
        basis: demands(Rfc(9110), "9.3.2"),
        sentence: "The HEAD method is identical to GET except that the server MUST NOT send content in the response.",
        does: "Sends HEAD, and then GET over the same connection.",
        must: "The head of the second response follows that of the first.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client
                .send(target.request("HEAD", target.path(), ""))
                .await?;
            client.response_to("HEAD").await?;
            expect_another(target, &mut client).await
        }),
    },
    Case {
        name: "expectation_is_answered",
        basis: demands(Rfc(9110), "10.1.1"),
        sentence: "an origin server MUST send either: [...] an immediate response with a final status code, if that status can \
                   be determined by examining just the method, target URI, and header fields, or [...] an immediate 100 \
                   (Continue) response to encourage the client to send the request content.",
        does: "Sends POST with `expect: 100-continue`, and waits before it sends the content.",
        must: "The server answers 100, and after the content with a final status; or with a final status at once.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            let fields = "expect: 100-continue\r\ncontent-length: 5\r\n";
            client.send(target.post(fields)).await?;
            let first = client.head().await?;
            if first.status == 100 {
                client.send("hello").await?;
                let last = client.head().await?;
                must!(last.status >= 200, "after 100 came {}", last.status);
            }
            Ok(())
        }),
    },
    Case {
        name: "no_interim_answer_to_http10",
        basis: demands(Rfc(9110), "10.1.1"),
        sentence: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation.",
        does: "Sends POST of HTTP/1.0 with `expect: 100-continue` and the content.",
        must: "The first answer is final.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            let request = target.post("expect: 100-continue\r\ncontent-length: 5\r\n");
            let request = request.replacen("HTTP/1.1", "HTTP/1.0", 1);
            client.send(request + "hello").await?;
            let first = client.head().await?;
            must!(first.status >= 200, "the first answer is {}", first.status);
            Ok(())
        }),
    },
    Case {
        name: "no_content_with_204",
        basis: demands(Rfc(9110), "15.3.5"),
        sentence: "A 204 response is terminated by the end of the header section; it cannot contain content or trailers.",
        does: "Sends GET to a path that answers 204, and then GET over the same connection.",
        must: "The head of the second response follows that of the first.",
        steps: steps!(async |target| {
            let (mut client, _) = no_content(target).await?;
            expect_another(target, &mut client).await
        }),
    },
    Case {
        name: "no_content_with_304",
        basis: demands(Rfc(9110), "15.4.5"),
        sentence: "A 304 response is terminated by the end of the header section; it cannot contain content or trailers.",
        does: "Repeats GET with the `etag` or `last-modified` of the response as a condition, and then GET over the same \
               connection.",
        must: "If the second answer is 304, the head of the third response follows that of the second.",
        steps: steps!(async |target| {
            let first = target.response_of(target.path()).await?;
            let condition = match (first.field("etag"), first.field("last-modified")) {
                (Some(tag), _) => format!("if-none-match: {tag}\r\n"),
                (None, Some(date)) => format!("if-modified-since: {date}\r\n"),
                (None, None) => {
                    let why = "the response has neither `etag` nor `last-modified`";
                    return Err(Verdict::NotApplicable(why.into()));
                }
            };
            let mut client = target.connect().await?;
            client.send(target.get(&condition)).await?;
            let second = client.response().await?;
            if second.status != 304 {
                let why = "the condition is not answered with 304";
                return Err(Verdict::NotApplicable(why.into()));
            }
            expect_another(target, &mut client).await
        }),
    },
];

/// Sends a request that may be too large. Returns the status of the answer, which may come before the server
/// has read the request.
pub(super) async fn answer_to_large(target: &Target<'_>, request: &str) -> CaseResult<u16> {
    let mut client = target.connect().await?;
    client.send_some(request.as_bytes()).await?;
    let (octets, is_orderly) = client.read_to_any_end().await?;
    let status = octets
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    match status {
        Some(status) => Ok(status),
        // A reset may have overtaken the answer.
        None if !is_orderly => Err(Verdict::NotApplicable(
            "the connection was reset before an answer could be read".into(),
        )),
        None => Err(Verdict::failed(format!(
            "the connection ended after `{}`",
            octets.escape_ascii()
        ))),
    }
}

/// Sends GET to the path that answers 204.
async fn no_content(target: &Target<'_>) -> CaseResult<(Http1, Response)> {
    let path = target.options.no_content_path.as_deref().ok_or_else(|| {
        Verdict::NotApplicable("it needs --no-content-path, a path that answers 204".into())
    })?;
    let mut client = target.connect().await?;
    client.send(target.request("GET", path, "")).await?;
    let response = client.response().await?;
    match response.status {
        204 => Ok((client, response)),
        _ => Err(Verdict::NotApplicable(
            "the path of --no-content-path does not answer 204".into(),
        )),
    }
}

/// Sends GET over a connection that has had an exchange. The answer must be a response, from its first octet.
async fn expect_another(target: &Target<'_>, client: &mut Http1) -> CaseResult {
    if !client.unread_now().is_empty() {
        let octets = client.unread_now().escape_ascii().to_string();
        return Err(Verdict::failed(format!("after the head came `{octets}`")));
    }
    client.send(target.get("connection: close\r\n")).await?;
    if client.is_at_end().await? {
        let why = "the server closes the connection after the answer";
        return Err(Verdict::NotApplicable(why.into()));
    }
    client.response().await.map(|_| ())
}
