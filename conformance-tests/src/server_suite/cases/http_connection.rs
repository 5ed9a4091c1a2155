//! `http.md`: requests on a connection, and heads that are refused.

use super::steps::{answered, refused, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::request::Request;

const REPLACED: &str = "RFC 9110 lets a server also put a space in the place of it";
const SKIPPED: &str =
    "RFC 9112 lets a server also skip lines in front of the first field that begin with a space";
const LARGE_LENGTH: &str =
    "RFC 9110 sets no limit to a length: a server may also wait for the content, or answer 413";
const OVERSIZED: &str = "the RFC asks for some status of the 4xx class";
const VERSION: &str = "RFC 9110 permits 505 and does not ask for it";

pub(super) const CASES: &[Case] = &[
    case!(
        pipelined_requests: PIPELINING, Shared,
        "Sends four requests at once, of which the first takes longest.",
        "The responses come in the order of the requests."
    ),
    case!(
        pipelined_requests_with_content: PIPELINING, Shared,
        "Sends three requests with content at once, which the application does not receive.",
        "The responses come in the order of the requests."
    ),
    case!(
        octets_that_are_no_text: MALFORMED_REQUEST, Shared,
        "Sends a line of NUL octets.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_method_that_is_no_token: MALFORMED_REQUEST, Shared,
        "Sends a method with an `@` in it.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_target_that_is_none: MALFORMED_REQUEST, Shared,
        "Sends a target that has no `/` in front and is not absolute.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_target_with_a_space: MALFORMED_REQUEST, Shared,
        "Sends a target with a space in it.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_space_in_a_field_name: MALFORMED_REQUEST, Shared,
        "Sends a field whose name has a space in it.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_space_before_the_colon: MALFORMED_REQUEST, Shared,
        "Sends a field with a space between name and colon.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_space_before_the_first_field: MALFORMED_REQUEST, Differs(SKIPPED),
        "Sends a space in front of the name of the first field.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_field_without_a_colon: MALFORMED_REQUEST, Shared,
        "Sends a line without a colon among the fields.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_field_without_a_name: MALFORMED_REQUEST, Shared,
        "Sends a line among the fields that begins with a colon.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_folded_field: MALFORMED_REQUEST, Differs(REPLACED),
        "Sends a field that goes on in a line which begins with a space.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_nul_in_a_value: MALFORMED_REQUEST, Differs(REPLACED),
        "Sends a field with a NUL in its value.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_bare_carriage_return_in_a_value: MALFORMED_REQUEST, Differs(REPLACED),
        "Sends a field with a CR in its value that no LF follows.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_length_that_is_no_number: MALFORMED_REQUEST, Shared,
        "Sends `content-length: 1x`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_length_with_a_sign: MALFORMED_REQUEST, Shared,
        "Sends `content-length: +1`.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_length_beyond_64_bits: MALFORMED_REQUEST, Differs(LARGE_LENGTH),
        "Sends a `content-length` of 23 digits.",
        "The answer is 400, the connection is closed, and the application is not called."
    ),
    case!(
        a_field_of_256_kilobytes: OVERSIZED_HEAD, Differs(OVERSIZED),
        "Sends a head with one very large field.",
        "The answer is 431, and the application is not called."
    ),
    case!(
        fields_of_256_kilobytes: OVERSIZED_HEAD, Differs(OVERSIZED),
        "Sends a head with very many fields.",
        "The answer is 431, and the application is not called."
    ),
    case!(
        fields_of_70_kilobytes_over_http2: OVERSIZED_HEAD, Differs(OVERSIZED),
        "Sends a head with very many fields.",
        "The answer is 431, or the connection ends, and the application is not called."
    ),
    case!(
        a_target_of_256_kilobytes: OVERSIZED_HEAD, Differs(OVERSIZED),
        "Sends a very long target.",
        "The answer is 414 or 431, and the application is not called."
    ),
    case!(
        http_3_0: UNSUPPORTED_VERSION, Differs(VERSION),
        "Sends a request line that ends with `HTTP/3.0`.",
        "The answer is 505, the connection is closed, and the application is not called."
    ),
    case!(
        http_2_0_in_a_request_line: UNSUPPORTED_VERSION, Differs(VERSION),
        "Sends a request line that ends with `HTTP/2.0`.",
        "The answer is 505, the connection is closed, and the application is not called."
    ),
];

async fn pipelined_requests(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
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
}

async fn pipelined_requests_with_content(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
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
}

async fn octets_that_are_no_text(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "\0\0\0\0\0\0\0\0\r\n\r\n", 400).await
}

async fn a_method_that_is_no_token(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "G@T / HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
}

async fn a_target_that_is_none(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "GET nothing HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
}

async fn a_target_with_a_space(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "GET /a b HTTP/1.1\r\nhost: test\r\n\r\n", 400).await
}

/// Sends a request with this line among its fields, and another one after it.
async fn refused_field(bench: &mut Bench<'_>, line: &str) -> Outcome {
    let request = format!(
        "GET / HTTP/1.1\r\nhost: test\r\n{line}\r\n\r\n\
         POST /smuggled HTTP/1.1\r\nhost: test\r\n\r\n"
    );
    refused(bench, &request, 400).await
}

async fn a_space_in_a_field_name(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "bad name: x").await
}

async fn a_space_before_the_colon(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "name : x").await
}

async fn a_space_before_the_first_field(bench: &mut Bench<'_>) -> Outcome {
    let request = "GET / HTTP/1.1\r\n x: a\r\nhost: test\r\n\r\n";
    refused(bench, request, 400).await
}

async fn a_field_without_a_colon(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "no colon").await
}

async fn a_field_without_a_name(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, ": x").await
}

async fn a_folded_field(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "x: a\r\n folded").await
}

async fn a_nul_in_a_value(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "x: a\0b").await
}

async fn a_bare_carriage_return_in_a_value(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "x: a\rcontent-length: 5").await
}

async fn a_length_that_is_no_number(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "content-length: 1x").await
}

async fn a_length_with_a_sign(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "content-length: +1").await
}

async fn a_length_beyond_64_bits(bench: &mut Bench<'_>) -> Outcome {
    refused_field(bench, "content-length: 99999999999999999999999").await
}

/// Larger than any server's limit that is not set to be, in bytes.
const LARGE: usize = 256 << 10;

async fn a_field_of_256_kilobytes(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::get("/").field("x", &"x".repeat(LARGE));
    oversized(bench, &request, &[431]).await
}

async fn fields_of_256_kilobytes(bench: &mut Bench<'_>) -> Outcome {
    oversized(bench, &with_many_fields(LARGE), &[431]).await
}

async fn a_target_of_256_kilobytes(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::get(&format!("/{}", "x".repeat(LARGE)));
    oversized(bench, &request, &[414, 431]).await
}

fn with_many_fields(length: usize) -> Request {
    let mut request = Request::get("/");
    for number in 0..length / 64 {
        request = request.field(&format!("x-{number}"), &"x".repeat(64));
    }
    request
}

async fn oversized(bench: &mut Bench<'_>, request: &Request, expected: &[u16]) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    // The server need not take all of it.
    client.send_some(&request.http1()).await?;
    let status = client.head().await?.status;
    must!(expected.contains(&status), "the answer is {status}");
    server.was_not_called().await
}

async fn fields_of_70_kilobytes_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
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
    server.was_not_called().await
}

async fn http_3_0(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "GET / HTTP/3.0\r\nhost: test\r\n\r\n", 505).await
}

async fn http_2_0_in_a_request_line(bench: &mut Bench<'_>) -> Outcome {
    refused(bench, "GET / HTTP/2.0\r\nhost: test\r\n\r\n", 505).await
}
