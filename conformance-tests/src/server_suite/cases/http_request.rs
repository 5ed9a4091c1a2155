//! `http.md`: the request and its content.

use callgate::{HttpRequestBody, ReceiveEvent, rule};
use http::{HeaderMap, HeaderValue};

use super::steps::{call_over, content, events};
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;

pub(super) const CASES: &[&[Case]] = &[
    REQUEST_BODY,
    EMPTY_REQUEST_BODY,
    REQUEST_BODY_STREAMS,
    TRANSFER_CODING_REMOVED,
    REQUEST_TRAILERS,
];

const REQUEST_BODY: &[Case] = &[Case {
    rule: rule::REQUEST_BODY,
    name: "content_of_100_kilobytes",
    transports: HTTP1_AND_HTTP2,
    does: "Sends content that is too large for one read, or over HTTP/2 for one frame.",
    must: "The bodies of the events up to the one with `more_body` unset are the content.",
    basis: Basis::Standard(&[demands(AsgiHttp, "HTTP: Request - receive event")]),
    steps: steps!(async |fixture, transport| {
        // Nowhere the same, so that order shows.
        let sent: String = (10_000..30_000).map(|number| number.to_string()).collect();
        let server = fixture.server().await?;
        let request = Request::new("POST", "/");
        let mut exchange =
            ClientExchange::begin_content(server, transport, request, sent.len()).await?;
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
    }),
}];

const EMPTY_REQUEST_BODY_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say how many events a request without content has");

const EMPTY_REQUEST_BODY: &[Case] = &[
    Case {
        rule: rule::EMPTY_REQUEST_BODY,
        name: "a_request_without_content",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request without content.",
        must: "The application receives one `http.request` event, empty and the last.",
        basis: EMPTY_REQUEST_BODY_BASIS,
        steps: steps!(async |fixture, transport| {
            no_content(fixture, transport, &Request::get("/")).await
        }),
    },
    Case {
        rule: rule::EMPTY_REQUEST_BODY,
        name: "content_of_length_zero",
        transports: HTTP1,
        does: "Sends a request with `content-length: 0`.",
        must: "The application receives one `http.request` event, empty and the last.",
        basis: EMPTY_REQUEST_BODY_BASIS,
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("content-length", "0");
            no_content(fixture, Transport::Http1, &request).await
        }),
    },
    Case {
        rule: rule::EMPTY_REQUEST_BODY,
        name: "a_request_without_content_ends",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request without content.",
        must: "The bodies of the events up to the one with `more_body` unset are empty.",
        basis: Basis::Standard(&[demands(AsgiHttp, "HTTP: Request - receive event")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (_exchange, mut app) = call_over(transport, server, &Request::get("/")).await?;
            let received = content(&mut app).await?;
            must!(
                received.is_empty(),
                "received `{}`",
                received.escape_ascii()
            );
            app.finish(Step::Decline).await
        }),
    },
];

async fn no_content(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    request: &Request,
) -> CaseResult {
    let server = fixture.server().await?;
    let _exchange = ClientExchange::begin(server, transport, request).await?;
    let mut app = server.call().await?;
    let event = app.receive().await?;
    let empty = ReceiveEvent::HttpRequestBody(HttpRequestBody::last(""));
    must!(event == empty, "received {event:?}");
    app.finish(Step::Decline).await
}

const REQUEST_BODY_STREAMS_BASIS: Basis =
    Basis::CallgateOnly("ASGI lets a server pass content on as it arrives, and does not demand it");

const REQUEST_BODY_STREAMS: &[Case] = &[
    Case {
        rule: rule::REQUEST_BODY_STREAMS,
        name: "a_part_before_the_rest",
        transports: HTTP1_AND_HTTP2,
        does: "Sends the first half of the content and waits.",
        must: "The application receives some of it.",
        basis: REQUEST_BODY_STREAMS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let request = Request::new("POST", "/");
            let mut exchange =
                ClientExchange::begin_content(server, transport, request, 10).await?;
            let mut app = server.call().await?;
            exchange.send("first", false).await?;
            some_content(&mut app).await?;
            exchange.send(" last", true).await?;
            app.finish(Step::Decline).await
        }),
    },
    Case {
        rule: rule::REQUEST_BODY_STREAMS,
        name: "a_chunk_before_the_rest",
        transports: HTTP1,
        does: "Sends the first chunk of chunked content and waits.",
        must: "The application receives some of it.",
        basis: REQUEST_BODY_STREAMS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
            client.send(request.http1()).await?;
            let mut app = server.call().await?;
            client.send("5\r\nfirst\r\n").await?;
            some_content(&mut app).await?;
            client.send("0\r\n\r\n").await?;
            app.finish(Step::Decline).await
        }),
    },
];

/// Has the application receive until there is some content.
async fn some_content(app: &mut ProbeCall) -> CaseResult {
    loop {
        match app.receive().await? {
            ReceiveEvent::HttpRequestBody(part) if !part.body.is_empty() => return Ok(()),
            // An event may be empty.
            ReceiveEvent::HttpRequestBody(part) if part.more_body => {}
            other => must!(false, "received {other:?} in place of content"),
        }
    }
}

const TRANSFER_CODING_REMOVED: &[Case] = &[
    Case {
        rule: rule::TRANSFER_CODING_REMOVED,
        name: "chunked_content",
        transports: HTTP1,
        does: "Sends chunks of different sizes, with extensions and leading zeros.",
        must: "The content that the application receives is that of the chunks.",
        basis: Basis::Standard(&[
            demands(AsgiHttp, "HTTP: Request - receive event"),
            demands(Rfc(9112), "7.1"),
        ]),
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("transfer-encoding", "chunked");
            let chunks = "5\r\nhello\r\n0001;name=value\r\n,\r\nB\r\n world; 0\r\n\r\n0\r\n\r\n";
            delivered(fixture, request, chunks, "hello, world; 0\r\n").await
        }),
    },
    Case {
        rule: rule::TRANSFER_CODING_REMOVED,
        name: "content_that_looks_chunked",
        transports: HTTP1,
        does: "Sends content with a `content-length` that reads like a chunk.",
        must: "The application receives it as it is.",
        basis: Basis::Standard(&[demands(Rfc(9112), "6.3")]),
        steps: steps!(async |fixture| {
            let request = Request::new("POST", "/").field("content-length", "15");
            delivered(
                fixture,
                request,
                "5\r\nhello\r\n0\r\n\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
            )
            .await
        }),
    },
];

/// Sends a request and these octets, of which the application must receive this content.
async fn delivered(
    fixture: &mut Fixture<'_>,
    request: Request,
    octets: &str,
    expected: &str,
) -> CaseResult {
    let server = fixture.server().await?;
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

const REQUEST_TRAILERS_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not pass on the trailer fields of a request");

const REQUEST_TRAILERS: &[Case] = &[
    Case {
        rule: rule::REQUEST_TRAILERS,
        name: "trailer_fields",
        transports: HTTP1,
        does: "Sends trailer fields after chunked content, one of them twice.",
        must: "The last `http.request` event has them, repeated ones in order.",
        basis: REQUEST_TRAILERS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = Request::new("POST", "/")
                .field("transfer-encoding", "chunked")
                .field("trailer", "x-sum, x-step");
            client.send(request.http1()).await?;
            client
                .send("5\r\nhello\r\n0\r\nx-sum: 5\r\nx-step: b\r\nx-step: a\r\n\r\n")
                .await?;
            trailers_arrive(server).await
        }),
    },
    Case {
        rule: rule::REQUEST_TRAILERS,
        name: "trailer_fields",
        transports: HTTP2,
        does: "Ends the stream with trailer fields, one of them twice.",
        must: "The last `http.request` event has them, repeated ones in order.",
        basis: REQUEST_TRAILERS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect_http2().await?;
            let mut exchange = client.begin(&Request::new("POST", "/"), true).await?;
            let sent = exchange.content.send_data("hello".into(), false);
            let sent = sent.and_then(|()| exchange.content.send_trailers(trailers()));
            must!(sent.is_ok(), "the stream is gone: {sent:?}");
            trailers_arrive(server).await
        }),
    },
    Case {
        rule: rule::REQUEST_TRAILERS,
        name: "forbidden_trailer_fields",
        transports: HTTP1,
        does: "Sends trailer fields after chunked content, and `authorization` among them.",
        must: "The last `http.request` event has them without `authorization`.",
        basis: REQUEST_TRAILERS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = Request::new("POST", "/")
                .field("transfer-encoding", "chunked")
                .field("trailer", "x-sum, x-step, authorization");
            client.send(request.http1()).await?;
            let fields = "x-sum: 5\r\nauthorization: Basic YTpi\r\nx-step: b\r\nx-step: a";
            let content = format!("5\r\nhello\r\n0\r\n{fields}\r\n\r\n");
            client.send(&content).await?;
            trailers_arrive(server).await
        }),
    },
    Case {
        rule: rule::REQUEST_TRAILERS,
        name: "forbidden_trailer_fields",
        transports: HTTP2,
        does: "Ends the stream with trailer fields, and `authorization` among them.",
        must: "The last `http.request` event has them without `authorization`.",
        basis: REQUEST_TRAILERS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect_http2().await?;
            let request = Request::new("POST", "/").field("trailer", "authorization");
            let mut exchange = client.begin(&request, true).await?;
            let mut fields = trailers();
            fields.insert("authorization", HeaderValue::from_static("Basic YTpi"));
            let sent = exchange.content.send_data("hello".into(), false);
            let sent = sent.and_then(|()| exchange.content.send_trailers(fields));
            must!(sent.is_ok(), "the stream is gone: {sent:?}");
            trailers_arrive(server).await
        }),
    },
];

async fn trailers_arrive(server: &mut Server) -> CaseResult {
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
