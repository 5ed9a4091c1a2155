//! `http.md`: the response and its framing.

use callgate::{HttpResponseBody, HttpResponseStart};

use super::steps::answered;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::{Exchange, Next, Over};
use crate::server_suite::request::{Request, Response};

const SIZED: &str = "ASGI leaves it to the application to set `content-length`";
const FLUSHED: &str = "ASGI does not say what an empty part of a response is for";

pub(super) const CASES: &[Case] = &[
    case!(
        head_of_a_whole_response: HEAD_HAS_NO_BODY, Shared,
        "Has the application answer HEAD with a length and content in one piece.",
        "The client is sent the fields and no content."
    ),
    case!(
        head_of_a_streamed_response: HEAD_HAS_NO_BODY, Shared,
        "Has the application answer HEAD with content in several parts.",
        "The client is sent the fields and no content."
    ),
    case!(
        head_of_a_whole_response_over_http2: HEAD_HAS_NO_BODY, Shared,
        "Has the application answer HEAD with a length and content in one piece.",
        "The client is sent the fields and no content."
    ),
    case!(
        head_of_a_streamed_response_over_http2: HEAD_HAS_NO_BODY, Shared,
        "Has the application answer HEAD with content in several parts.",
        "The client is sent the fields and no content."
    ),
    case!(
        a_start_alone: START_IS_HELD, Shared,
        "Has the application send `http.response.start` and nothing more for a while.",
        "Nothing is sent to the client before the first body event."
    ),
    case!(
        a_start_alone_over_http2: START_IS_HELD, Shared,
        "Has the application send `http.response.start` and nothing more for a while.",
        "Nothing is sent to the client before the first body event."
    ),
    case!(
        a_whole_response: WHOLE_RESPONSE_IS_SIZED, Differs(SIZED),
        "Has the application answer in one piece.",
        "The response has its `content-length` and no transfer coding."
    ),
    case!(
        a_whole_response_to_http10: WHOLE_RESPONSE_IS_SIZED, Differs(SIZED),
        "Has the application answer an HTTP/1.0 client in one piece.",
        "The response has its `content-length` and no transfer coding."
    ),
    case!(
        a_whole_response_over_http2: WHOLE_RESPONSE_IS_SIZED, Differs(SIZED),
        "Has the application answer in one piece.",
        "The response has its `content-length`."
    ),
    case!(
        an_empty_response: WHOLE_RESPONSE_IS_SIZED, Differs(SIZED),
        "Has the application answer with one empty body event.",
        "The response has `content-length: 0` and no transfer coding."
    ),
    case!(
        a_streamed_response: STREAMED_FRAMING, Shared,
        "Has the application answer in two parts.",
        "The response is chunked, and its chunks are the content."
    ),
    case!(
        a_streamed_response_to_http10: STREAMED_FRAMING, Shared,
        "Has the application answer an HTTP/1.0 client in two parts.",
        "The response has no transfer coding, and ends with the connection."
    ),
    case!(
        a_streamed_response_over_http2: STREAMED_FRAMING, Shared,
        "Has the application answer in two parts.",
        "The content comes in DATA frames, and the stream ends."
    ),
    case!(
        an_empty_first_part: EMPTY_BODY_FLUSHES_HEAD, Differs(FLUSHED),
        "Has the application send an empty part first, and nothing more for a while.",
        "The client is sent the head."
    ),
    case!(
        an_empty_first_part_over_http2: EMPTY_BODY_FLUSHES_HEAD, Differs(FLUSHED),
        "Has the application send an empty part first, and nothing more for a while.",
        "The client is sent the head."
    ),
    case!(
        one_part_after_the_other: EVENTS_ARE_NOT_HELD, Shared,
        "Has the application send each part when the client has read the one before.",
        "The client can read each."
    ),
    case!(
        one_part_after_the_other_up_to_a_length: EVENTS_ARE_NOT_HELD, Shared,
        "Has the application set `content-length`, send that much in three parts, and then an empty end.",
        "The client can read each part, and the end is taken."
    ),
    case!(
        one_part_after_the_other_over_http2: EVENTS_ARE_NOT_HELD, Shared,
        "Has the application send each part when the client has read the one before.",
        "The client can read each."
    ),
];

async fn head_of_a_whole_response(bench: &mut Bench<'_>) -> Outcome {
    head(bench, Over::Http1, whole_to_head(), Some("7")).await
}

async fn head_of_a_streamed_response(bench: &mut Bench<'_>) -> Outcome {
    head(bench, Over::Http1, streamed_to_head(), None).await
}

async fn head_of_a_whole_response_over_http2(bench: &mut Bench<'_>) -> Outcome {
    head(bench, Over::Http2, whole_to_head(), Some("7")).await
}

async fn head_of_a_streamed_response_over_http2(bench: &mut Bench<'_>) -> Outcome {
    head(bench, Over::Http2, streamed_to_head(), None).await
}

fn whole_to_head() -> Request {
    let start = HttpResponseStart::ok()
        .header("x-kept", "1")
        .header("content-length", "7");
    Request::new("HEAD", "/")
        .sends(start)
        .sends(HttpResponseBody::last("content"))
        .step(Step::Return)
}

fn streamed_to_head() -> Request {
    Request::new("HEAD", "/")
        .sends(HttpResponseStart::ok().header("x-kept", "1"))
        .sends(HttpResponseBody::part("con"))
        .sends(HttpResponseBody::part("tent"))
        .sends(HttpResponseBody::end())
        .step(Step::Return)
}

/// That the response has the application's fields, `content-length` among them if it sets that.
async fn head(
    bench: &mut Bench<'_>,
    over: Over,
    request: Request,
    length: Option<&str>,
) -> Outcome {
    let server = bench.server().await?;
    let (response, content) = match over {
        Over::Http1 => {
            let mut client = server.connect().await?;
            // So that all that comes before the connection is closed is the response.
            let request = request.field("connection", "close");
            client.send(request.http1()).await?;
            (client.head().await?, client.any_rest().await?.0)
        }
        Over::Http2 => {
            let response = server.connect_http2().await?.exchange(&request).await?;
            let content = response.body.clone();
            (response, content)
        }
    };
    let kept = response.field("x-kept");
    must!(kept == Some("1"), "`x-kept` is {kept:?}");
    if length.is_some() {
        let seen = response.field("content-length");
        must!(seen == length, "`content-length` is {seen:?}");
    }
    must!(
        content.is_empty(),
        "the head is followed by `{}`",
        content.escape_ascii()
    );
    server.call().await?.ended().await.map(|_| ())
}

async fn a_start_alone(bench: &mut Bench<'_>) -> Outcome {
    start_alone(bench, Over::Http1).await
}

async fn a_start_alone_over_http2(bench: &mut Bench<'_>) -> Outcome {
    start_alone(bench, Over::Http2).await
}

async fn start_alone(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    let start = HttpResponseStart::ok().header("content-length", "5");
    app.send(start).await?;
    exchange.fence(server).await?;
    must!(
        !exchange.has_answer().await?,
        "the client has been sent the start"
    );
    app.send(HttpResponseBody::last("hello")).await?;
    app.finish(Step::Return).await
}

async fn a_whole_response(bench: &mut Bench<'_>) -> Outcome {
    let response = whole(bench, Over::Http1, "hello").await?;
    is_sized(&response, "5")
}

async fn a_whole_response_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let response = whole(bench, Over::Http2, "hello").await?;
    is_sized(&response, "5")
}

async fn an_empty_response(bench: &mut Bench<'_>) -> Outcome {
    let response = whole(bench, Over::Http1, "").await?;
    is_sized(&response, "0")
}

/// The response that the application sends in one piece.
async fn whole(bench: &mut Bench<'_>, over: Over, text: &'static str) -> Outcome<Response> {
    let server = bench.server().await?;
    let request = answered(Request::get("/"), text);
    let response = Exchange::begin(server, over, &request)
        .await?
        .response()
        .await?;
    server.call().await?.ended().await?;
    Ok(response)
}

async fn a_whole_response_to_http10(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client
        .send(answered(Request::get("/"), "hello").http10())
        .await?;
    let response = client.response().await?;
    server.call().await?.ended().await?;
    is_sized(&response, "5")
}

fn is_sized(response: &Response, expected: &str) -> Outcome {
    let length = response.field("content-length");
    must!(length == Some(expected), "`content-length` is {length:?}");
    let coding = response.field("transfer-encoding");
    must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
    Ok(())
}

fn streamed() -> Request {
    Request::get("/")
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::part("one, "))
        .sends(HttpResponseBody::last("two"))
        .step(Step::Return)
}

async fn a_streamed_response(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let response = server.connect().await?.exchange(&streamed()).await?;
    let coding = response.field("transfer-encoding");
    must!(
        coding == Some("chunked"),
        "`transfer-encoding` is {coding:?}"
    );
    let length = response.field("content-length");
    must!(length.is_none(), "`content-length` is {length:?}");
    is_one_two(&response)?;
    server.call().await?.ended().await.map(|_| ())
}

async fn a_streamed_response_to_http10(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(streamed().http10()).await?;
    let mut response = client.head().await?;
    let coding = response.field("transfer-encoding");
    must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
    response.body = client.rest().await?;
    is_one_two(&response)?;
    server.call().await?.ended().await.map(|_| ())
}

async fn a_streamed_response_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let response = server.connect_http2().await?.exchange(&streamed()).await?;
    let coding = response.field("transfer-encoding");
    must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
    is_one_two(&response)?;
    server.call().await?.ended().await.map(|_| ())
}

fn is_one_two(response: &Response) -> Outcome {
    let text = response.text();
    must!(text == "one, two", "the content is `{text}`");
    Ok(())
}

async fn an_empty_first_part(bench: &mut Bench<'_>) -> Outcome {
    empty_first_part(bench, Over::Http1).await
}

async fn an_empty_first_part_over_http2(bench: &mut Bench<'_>) -> Outcome {
    empty_first_part(bench, Over::Http2).await
}

async fn empty_first_part(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("")).await?;
    exchange.head().await?;
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await
}

async fn one_part_after_the_other(bench: &mut Bench<'_>) -> Outcome {
    parts_one_by_one(bench, Over::Http1, HttpResponseStart::ok()).await
}

async fn one_part_after_the_other_over_http2(bench: &mut Bench<'_>) -> Outcome {
    parts_one_by_one(bench, Over::Http2, HttpResponseStart::ok()).await
}

async fn one_part_after_the_other_up_to_a_length(bench: &mut Bench<'_>) -> Outcome {
    let start = HttpResponseStart::ok().header("content-length", "11");
    parts_one_by_one(bench, Over::Http1, start).await
}

async fn parts_one_by_one(bench: &mut Bench<'_>, over: Over, start: HttpResponseStart) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.send(start).await?;
    for part in ["one", "two", "three"] {
        app.send(HttpResponseBody::part(part)).await?;
        if part == "one" {
            exchange.head().await?;
        }
        let mut read = 0;
        while read < part.len() {
            match exchange.next().await? {
                Next::Content(content) => read += content.len(),
                end => must!(false, "in place of `{part}` the client saw {end}"),
            }
        }
    }
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await
}
