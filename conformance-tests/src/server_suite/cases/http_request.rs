//! `http.md`: the request and its content.

use callgate::{HttpRequestBody, ReceiveEvent};
use http::{HeaderMap, HeaderValue};

use super::steps::{content, events};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::{Exchange, Over};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

const STREAMING: &str = "ASGI lets a server pass content on as it arrives and does not ask it to";
const TRAILERS: &str = "ASGI does not pass on the trailer fields of a request";
const EMPTY: &str = "ASGI leaves open whether an event comes when there is no content";

pub(super) const CASES: &[Case] = &[
    case!(
        content_of_100_kilobytes: REQUEST_BODY, Shared,
        "Sends content that is too large for one read.",
        "The bodies of the events up to the one with `more_body` unset are the content."
    ),
    case!(
        content_of_100_kilobytes_over_http2: REQUEST_BODY, Shared,
        "Sends content that is too large for one frame.",
        "The bodies of the events up to the one with `more_body` unset are the content."
    ),
    case!(
        a_request_without_content: EMPTY_REQUEST_BODY, Differs(EMPTY),
        "Sends a request without content.",
        "The application receives one `http.request` event, empty and the last."
    ),
    case!(
        a_request_without_content_over_http2: EMPTY_REQUEST_BODY, Differs(EMPTY),
        "Sends a request whose stream ends with its head.",
        "The application receives one `http.request` event, empty and the last."
    ),
    case!(
        content_of_length_zero: EMPTY_REQUEST_BODY, Differs(EMPTY),
        "Sends a request with `content-length: 0`.",
        "The application receives one `http.request` event, empty and the last."
    ),
    case!(
        a_part_before_the_rest: REQUEST_BODY_STREAMS, Differs(STREAMING),
        "Sends the first half of the content and waits.",
        "The application receives some of it."
    ),
    case!(
        a_chunk_before_the_rest: REQUEST_BODY_STREAMS, Differs(STREAMING),
        "Sends the first chunk of chunked content and waits.",
        "The application receives some of it."
    ),
    case!(
        a_part_before_the_rest_over_http2: REQUEST_BODY_STREAMS, Differs(STREAMING),
        "Sends the first DATA frame and waits.",
        "The application receives some of it."
    ),
    case!(
        chunked_content: TRANSFER_CODING_REMOVED, Shared,
        "Sends chunks of different sizes, with extensions and leading zeros.",
        "The content that the application receives is that of the chunks."
    ),
    case!(
        content_that_looks_chunked: TRANSFER_CODING_REMOVED, Shared,
        "Sends content with a `content-length` that reads like a chunk.",
        "The application receives it as it is."
    ),
    case!(
        trailer_fields: REQUEST_TRAILERS, Differs(TRAILERS),
        "Sends trailer fields after chunked content, one of them twice.",
        "The last `http.request` event has them, repeated ones in order."
    ),
    case!(
        trailer_fields_over_http2: REQUEST_TRAILERS, Differs(TRAILERS),
        "Ends the stream with trailer fields, one of them twice.",
        "The last `http.request` event has them, repeated ones in order."
    ),
];

async fn content_of_100_kilobytes(bench: &mut Bench<'_>) -> Outcome {
    large_content(bench, Over::Http1).await
}

async fn content_of_100_kilobytes_over_http2(bench: &mut Bench<'_>) -> Outcome {
    large_content(bench, Over::Http2).await
}

async fn large_content(bench: &mut Bench<'_>, over: Over) -> Outcome {
    // Nowhere the same, so that order shows.
    let sent: String = (10_000..30_000).map(|number| number.to_string()).collect();
    let server = bench.server().await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(server, over, request, sent.len()).await?;
    // A server need not take more than has been received, nor call before it has taken all.
    let receiving = async {
        let mut app = server.call().await?;
        let received = content(&mut app).await?;
        Ok((app, received))
    };
    let ((), (app, received)) = tokio::try_join!(exchange.send(sent.clone(), true), receiving)?;
    let first_difference = received
        .iter()
        .zip(sent.as_bytes())
        .take_while(|(received, sent)| received == sent)
        .count();
    must!(
        received == sent.as_bytes(),
        "received {} bytes of {}, and the first {first_difference} are right",
        received.len(),
        sent.len()
    );
    app.finish(Step::Decline).await
}

async fn a_request_without_content(bench: &mut Bench<'_>) -> Outcome {
    no_content(bench, Over::Http1, &Request::get("/")).await
}

async fn a_request_without_content_over_http2(bench: &mut Bench<'_>) -> Outcome {
    no_content(bench, Over::Http2, &Request::get("/")).await
}

async fn content_of_length_zero(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("content-length", "0");
    no_content(bench, Over::Http1, &request).await
}

async fn no_content(bench: &mut Bench<'_>, over: Over, request: &Request) -> Outcome {
    let server = bench.server().await?;
    let _exchange = Exchange::begin(server, over, request).await?;
    let mut app = server.call().await?;
    let event = app.receive().await?;
    let empty = ReceiveEvent::HttpRequestBody(HttpRequestBody::last(""));
    must!(event == empty, "received {event:?}");
    app.finish(Step::Decline).await
}

async fn a_part_before_the_rest(bench: &mut Bench<'_>) -> Outcome {
    first_part(bench, Over::Http1).await
}

async fn a_part_before_the_rest_over_http2(bench: &mut Bench<'_>) -> Outcome {
    first_part(bench, Over::Http2).await
}

async fn first_part(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(server, over, request, 10).await?;
    let mut app = server.call().await?;
    exchange.send("first", false).await?;
    some_content(&mut app).await?;
    exchange.send(" last", true).await?;
    app.finish(Step::Decline).await
}

async fn a_chunk_before_the_rest(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    client.send(request.http1()).await?;
    let mut app = server.call().await?;
    client.send("5\r\nfirst\r\n").await?;
    some_content(&mut app).await?;
    client.send("0\r\n\r\n").await?;
    app.finish(Step::Decline).await
}

/// Has the application receive until there is some content.
async fn some_content(app: &mut Remote) -> Outcome {
    loop {
        match app.receive().await? {
            ReceiveEvent::HttpRequestBody(part) if !part.body.is_empty() => return Ok(()),
            // An event may be empty.
            ReceiveEvent::HttpRequestBody(part) if part.more_body => {}
            other => must!(false, "received {other:?} in place of content"),
        }
    }
}

async fn chunked_content(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
    let chunks = "5\r\nhello\r\n0001;name=value\r\n,\r\nB\r\n world; 0\r\n\r\n0\r\n\r\n";
    delivered(bench, request, chunks, "hello, world; 0\r\n").await
}

async fn content_that_looks_chunked(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::new("POST", "/").field("content-length", "15");
    delivered(
        bench,
        request,
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    )
    .await
}

/// Sends a request and these octets, of which the application must receive this content.
async fn delivered(
    bench: &mut Bench<'_>,
    request: Request,
    octets: &str,
    expected: &str,
) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    client.send(octets).await?;
    let mut app = server.call().await?;
    let received = content(&mut app).await?;
    must!(
        received == expected.as_bytes(),
        "received `{}`",
        received.escape_ascii()
    );
    app.finish(Step::Decline).await
}

async fn trailer_fields(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = Request::new("POST", "/")
        .field("transfer-encoding", "chunked")
        .field("trailer", "x-sum, x-step");
    client.send(request.http1()).await?;
    client
        .send("5\r\nhello\r\n0\r\nx-sum: 5\r\nx-step: b\r\nx-step: a\r\n\r\n")
        .await?;
    trailers_arrive(server).await
}

async fn trailer_fields_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let mut exchange = client.begin(&Request::new("POST", "/"), true).await?;
    let sent = exchange.content.send_data("hello".into(), false);
    let sent = sent.and_then(|()| exchange.content.send_trailers(trailers()));
    must!(sent.is_ok(), "the stream is gone: {sent:?}");
    trailers_arrive(server).await
}

async fn trailers_arrive(server: &mut Server) -> Outcome {
    let mut app = server.call().await?;
    let receiving = app.begin(Step::ReceiveBody);
    let events = events(&mut app, receiving).await?;
    let arrived = match events.last() {
        Some(ReceiveEvent::HttpRequestBody(last)) => last.trailers.as_deref(),
        _ => None,
    };
    must!(
        arrived == Some(&trailers()),
        "the trailer fields of the last event are {arrived:?}"
    );
    app.finish(Step::Decline).await
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.append("x-sum", HeaderValue::from_static("5"));
    trailers.append("x-step", HeaderValue::from_static("b"));
    trailers.append("x-step", HeaderValue::from_static("a"));
    trailers
}
