//! `http.md`: content that does not come whole, and clients that go away.

use callgate::{HttpResponseBody, HttpResponseStart, ReceiveEvent};

use super::steps::{content, events, receive_disconnect, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::{Exchange, Next, Over};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;

const CALLED: &str = "ASGI lets a server call the application only when the content is whole";
const MALFORMED: &str = "ASGI does not say what becomes of malformed content";

pub(super) const CASES: &[Case] = &[
    case!(
        a_length_that_is_not_reached: NO_SHORT_BODY, Differs(CALLED),
        "Ends the connection in order, before all that `content-length` says has been sent.",
        "The application receives `http.disconnect`, and before it no event with `more_body` unset."
    ),
    case!(
        chunks_without_the_last: NO_SHORT_BODY, Differs(CALLED),
        "Ends the connection in order, after a chunk and before the last chunk.",
        "The application receives `http.disconnect`, and before it no event with `more_body` unset."
    ),
    case!(
        a_chunk_that_breaks_off: NO_SHORT_BODY, Differs(CALLED),
        "Resets the connection in the middle of a chunk.",
        "The application receives `http.disconnect`, and before it no event with `more_body` unset."
    ),
    case!(
        a_stream_that_is_reset_over_http2: NO_SHORT_BODY, Differs(CALLED),
        "Resets the stream before its end.",
        "The application receives `http.disconnect`, and before it no event with `more_body` unset."
    ),
    case!(
        a_receive_after_the_content: RECEIVE_AFTER_BODY, Shared,
        "Has the application receive once more, and then complete its response.",
        "The receive is pending before and yields `http.disconnect` after."
    ),
    case!(
        a_receive_after_the_content_over_http2: RECEIVE_AFTER_BODY, Shared,
        "Has the application receive once more, and then complete its response.",
        "The receive is pending before and yields `http.disconnect` after."
    ),
    case!(
        gone_while_waiting: DISCONNECT_IS_TOLD, Shared,
        "Resets the connection before the response is started.",
        "The application receives `http.disconnect`."
    ),
    case!(
        gone_while_started: DISCONNECT_IS_TOLD, Shared,
        "Resets the connection between the start and the first body event.",
        "The application receives `http.disconnect`."
    ),
    case!(
        gone_while_streaming: DISCONNECT_IS_TOLD, Shared,
        "Resets the connection in the middle of the response.",
        "The application receives `http.disconnect`."
    ),
    case!(
        gone_while_waiting_over_http2: DISCONNECT_IS_TOLD, Shared,
        "Resets the stream before the response is started.",
        "The application receives `http.disconnect`."
    ),
    case!(
        gone_while_started_over_http2: DISCONNECT_IS_TOLD, Shared,
        "Resets the stream between the start and the first body event.",
        "The application receives `http.disconnect`."
    ),
    case!(
        gone_while_streaming_over_http2: DISCONNECT_IS_TOLD, Shared,
        "Resets the stream in the middle of the response.",
        "The application receives `http.disconnect`."
    ),
    case!(
        half_closed_while_waiting: HALF_CLOSE,
        Differs("ASGI does not say whether a client that has ended its sending side is gone"),
        "Ends the sending side of the connection before the response.",
        "The application receives `http.disconnect`, and the client no response."
    ),
    case!(
        a_chunk_size_that_is_no_number: MALFORMED_CONTENT, Differs(MALFORMED),
        "Sends a chunk of size `zz`.",
        "The answer is 400, and the connection is closed."
    ),
    case!(
        a_negative_chunk_size: MALFORMED_CONTENT, Differs(MALFORMED),
        "Sends a chunk of size `-1`.",
        "The answer is 400, and the connection is closed."
    ),
    case!(
        a_chunk_size_beyond_64_bits: MALFORMED_CONTENT, Differs(MALFORMED),
        "Sends a chunk of a size that has 17 hexadecimal digits.",
        "The answer is 400, and the connection is closed."
    ),
    case!(
        a_chunk_longer_than_its_size: MALFORMED_CONTENT, Differs(MALFORMED),
        "Sends six bytes in a chunk of size 3.",
        "The answer is 400, and the connection is closed."
    ),
    case!(
        a_line_feed_in_a_chunk_extension: MALFORMED_CONTENT, Differs(MALFORMED),
        "Ends the line with a chunk's size and extension with a bare line feed.",
        "The answer is 400, and the connection is closed."
    ),
];

async fn a_length_that_is_not_reached(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("content-length", "10");
    content_breaks_off(bench, request, "first", true).await
}

async fn chunks_without_the_last(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    content_breaks_off(bench, request, "5\r\nfirst\r\n", true).await
}

async fn a_chunk_that_breaks_off(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    content_breaks_off(bench, request, "5\r\nfir", false).await
}

/// Sends a request and these octets of its content, and then goes away: in order or not.
async fn content_breaks_off(
    bench: &mut Bench<'_>,
    request: Request,
    octets: &str,
    in_order: bool,
) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    client.send(octets).await?;
    let mut app = server.call().await?;
    let receiving = app.begin(Step::ReceiveBody);
    if in_order {
        client.half_close().await?;
        is_disconnect(app, receiving).await
    } else {
        client.reset();
        is_disconnect(app, receiving).await
    }
}

async fn a_stream_that_is_reset_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(server, Over::Http2, request, 10).await?;
    exchange.send("first", false).await?;
    let mut app = server.call().await?;
    let receiving = app.begin(Step::ReceiveBody);
    let _connection = exchange.reset();
    is_disconnect(app, receiving).await
}

/// That what the application receives ends with a disconnect.
async fn is_disconnect(mut app: Remote, receiving: u64) -> Outcome {
    let events = events(&mut app, receiving).await?;
    must!(
        events.last() == Some(&ReceiveEvent::HttpDisconnect),
        "the content ended with {:?}",
        events.last()
    );
    app.finish(Step::Decline).await
}

async fn a_receive_after_the_content(bench: &mut Bench<'_>) -> Outcome {
    receive_after_content(bench, Over::Http1).await
}

async fn a_receive_after_the_content_over_http2(bench: &mut Bench<'_>) -> Outcome {
    receive_after_content(bench, Over::Http2).await
}

async fn receive_after_content(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("POST", "/").body("content");
    let mut exchange = Exchange::begin(server, over, &request).await?;
    let mut app = server.call().await?;
    content(&mut app).await?;
    let receiving = app.begin(Step::Receive);
    exchange.fence(server).await?;
    must!(
        app.is_pending(receiving).await?,
        "a receive after the content is not pending"
    );
    respond(&mut app, "answer").await?;
    exchange.response().await?;
    let event = app.received(Some(receiving)).await?;
    must!(event == ReceiveEvent::HttpDisconnect, "received {event:?}");
    app.finish(Step::Return).await
}

/// How far the application has come with its response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Started,
    Streaming,
}

async fn gone_while_waiting(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http1, Phase::Waiting).await
}

async fn gone_while_started(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http1, Phase::Started).await
}

async fn gone_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http1, Phase::Streaming).await
}

async fn gone_while_waiting_over_http2(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http2, Phase::Waiting).await
}

async fn gone_while_started_over_http2(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http2, Phase::Started).await
}

async fn gone_while_streaming_over_http2(bench: &mut Bench<'_>) -> Outcome {
    gone(bench, Over::Http2, Phase::Streaming).await
}

async fn gone(bench: &mut Bench<'_>, over: Over, phase: Phase) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.receive().await?;
    if phase != Phase::Waiting {
        app.send(HttpResponseStart::ok()).await?;
    }
    if phase == Phase::Streaming {
        app.send(HttpResponseBody::part("begun")).await?;
        exchange.head().await?;
        let begun = exchange.next().await?;
        must!(matches!(begun, Next::Content(_)), "the client saw {begun}");
    }
    let _connection = exchange.reset();
    receive_disconnect(&mut app).await?;
    app.finish(Step::Decline).await
}

async fn half_closed_while_waiting(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    app.receive().await?;
    client.half_close().await?;
    receive_disconnect(&mut app).await?;
    app.finish(Step::Decline).await?;
    let (rest, _) = client.any_rest().await?;
    must!(
        rest.is_empty(),
        "the client was sent `{}`",
        rest.escape_ascii()
    );
    Ok(())
}

async fn a_chunk_size_that_is_no_number(bench: &mut Bench<'_>) -> Outcome {
    malformed(bench, "zz\r\n").await
}

async fn a_negative_chunk_size(bench: &mut Bench<'_>) -> Outcome {
    malformed(bench, "-1\r\n").await
}

async fn a_chunk_size_beyond_64_bits(bench: &mut Bench<'_>) -> Outcome {
    malformed(bench, "fffffffffffffffff\r\n").await
}

async fn a_chunk_longer_than_its_size(bench: &mut Bench<'_>) -> Outcome {
    malformed(bench, "3\r\nabcdef\r\n").await
}

async fn a_line_feed_in_a_chunk_extension(bench: &mut Bench<'_>) -> Outcome {
    malformed(bench, "3;name\nabc\r\n0\r\n\r\n").await
}

/// Sends these octets as chunked content, while the application receives.
async fn malformed(bench: &mut Bench<'_>, chunks: &str) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    client.send(request.http1()).await?;
    client.send(chunks).await?;
    let mut app = server.call().await?;
    app.begin(Step::ReceiveBody);
    let answer = client.response().await?;
    must!(answer.status == 400, "the answer is {}", answer.status);
    client.is_closed().await?;
    app.finish(Step::Decline).await
}
