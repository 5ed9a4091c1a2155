//! `http.md`: the response and its framing.

use callgate::{HttpResponseBody, HttpResponseStart, rule};

use super::steps::answered;
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, ResponsePart, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::{Request, Response};
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::refusal_of_http10;

pub(super) const CASES: &[&[Case]] = &[
    HEAD_HAS_NO_BODY,
    START_IS_HELD,
    WHOLE_RESPONSE_IS_SIZED,
    STREAMED_FRAMING,
    EMPTY_BODY_FLUSHES_HEAD,
    EVENTS_ARE_NOT_HELD,
];

const HEAD_HAS_NO_BODY_BASIS: Basis = Basis::Standard(&[demands(Rfc(9110), "9.3.2")]);

const HEAD_HAS_NO_BODY: &[Case] = &[
    Case {
        rule: rule::HEAD_HAS_NO_BODY,
        name: "head_of_a_whole_response",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application answer HEAD with a length and content in one body event.",
        must: "The client receives no content.",
        basis: HEAD_HAS_NO_BODY_BASIS,
        steps: steps!(async |fixture, transport| {
            let (_, content) = answer_to_head(fixture, transport, whole_to_head()).await?;
            expect_no_content(&content)
        }),
    },
    Case {
        rule: rule::HEAD_HAS_NO_BODY,
        name: "head_of_a_streamed_response",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application answer HEAD with content in several body events.",
        must: "The client receives no content.",
        basis: HEAD_HAS_NO_BODY_BASIS,
        steps: steps!(async |fixture, transport| {
            let (_, content) = answer_to_head(fixture, transport, streamed_to_head()).await?;
            expect_no_content(&content)
        }),
    },
    Case {
        rule: rule::HEAD_HAS_NO_BODY,
        name: "fields_of_an_answer_to_head",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application answer HEAD with a length and another field.",
        must: "The client receives both fields.",
        basis: Basis::CallgateOnly(
            "RFC 9110, 9.3.2 recommends the fields, and permits to leave some out",
        ),
        steps: steps!(async |fixture, transport| {
            let (head, _) = answer_to_head(fixture, transport, whole_to_head()).await?;
            for (name, value) in [("x-kept", "1"), ("content-length", "7")] {
                let seen = head.field(name);
                must!(seen == Some(value), "`{name}` is {seen:?}");
            }
            Ok(())
        }),
    },
];

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

/// Returns the head of the answer to a HEAD request, and the octets after it.
async fn answer_to_head(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    request: Request,
) -> CaseResult<(Response, Vec<u8>)> {
    let server = fixture.server().await?;
    let answer = match transport {
        Transport::Http1 => {
            let mut client = server.connect().await?;
            // The server closes the connection, so all octets up to then belong to the answer.
            let request = request.field("connection", "close");
            client.send(request.http1()).await?;
            (client.head().await?, client.read_to_any_end().await?.0)
        }
        Transport::Http2 => {
            let head = server.connect_http2().await?.exchange(&request).await?;
            let content = head.body.clone();
            (head, content)
        }
    };
    server.call().await?.ended().await?;
    Ok(answer)
}

fn expect_no_content(content: &[u8]) -> CaseResult {
    must!(
        content.is_empty(),
        "the head is followed by `{}`",
        content.escape_ascii()
    );
    Ok(())
}

const START_IS_HELD: &[Case] = &[Case {
    rule: rule::START_IS_HELD,
    name: "a_start_alone",
    transports: HTTP1_AND_HTTP2,
    does: "Has the application send `http.response.start` and nothing more for a while.",
    must: "Nothing is sent to the client before the first body event.",
    basis: Basis::CallgateOnly(
        "ASGI HTTP & WebSocket 2.5, \"Response Start\": a server need not wait for the first body event, but may",
    ),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
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
    }),
}];

const WHOLE_RESPONSE_IS_SIZED_BASIS: Basis =
    Basis::CallgateOnly("ASGI leaves it to the application to set `content-length`");

const WHOLE_RESPONSE_IS_SIZED: &[Case] = &[
    Case {
        rule: rule::WHOLE_RESPONSE_IS_SIZED,
        name: "a_whole_response",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application answer in one piece.",
        must: "The response has its `content-length` and no transfer coding.",
        basis: WHOLE_RESPONSE_IS_SIZED_BASIS,
        steps: steps!(async |fixture, transport| {
            let response = whole_response(fixture, transport, "hello").await?;
            expect_length(&response, "5")
        }),
    },
    Case {
        rule: rule::WHOLE_RESPONSE_IS_SIZED,
        name: "a_whole_response_to_http10",
        transports: HTTP1,
        does: "Has the application answer an HTTP/1.0 client in one piece.",
        must: "The response has its `content-length` and no transfer coding.",
        basis: WHOLE_RESPONSE_IS_SIZED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client
                .send(answered(Request::get("/"), "hello").http10())
                .await?;
            let response = client.response().await?;
            server.call().await?.ended().await?;
            expect_length(&response, "5")
        }),
    },
    Case {
        rule: rule::WHOLE_RESPONSE_IS_SIZED,
        name: "an_empty_response",
        transports: HTTP1,
        does: "Has the application answer with one empty body event.",
        must: "The response has `content-length: 0` and no transfer coding.",
        basis: WHOLE_RESPONSE_IS_SIZED_BASIS,
        steps: steps!(async |fixture| {
            let response = whole_response(fixture, Transport::Http1, "").await?;
            expect_length(&response, "0")
        }),
    },
];

/// Returns the response that the application sends in one piece.
async fn whole_response(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    text: &'static str,
) -> CaseResult<Response> {
    let server = fixture.server().await?;
    let request = answered(Request::get("/"), text);
    let response = ClientExchange::begin(server, transport, &request)
        .await?
        .response()
        .await?;
    server.call().await?.ended().await?;
    Ok(response)
}

fn expect_length(response: &Response, expected: &str) -> CaseResult {
    let length = response.field("content-length");
    must!(length == Some(expected), "`content-length` is {length:?}");
    let coding = response.field("transfer-encoding");
    must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
    Ok(())
}

const STREAMED_FRAMING: &[Case] = &[
    Case {
        rule: rule::STREAMED_FRAMING,
        name: "a_streamed_response",
        transports: HTTP1,
        does: "Has the application answer in two parts.",
        must: "The response is chunked, and its chunks are the content.",
        basis: Basis::CallgateOnly(
            "ASGI lets a server choose the framing of a response without `content-length`",
        ),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let response = server.connect().await?.exchange(&streamed()).await?;
            let coding = response.field("transfer-encoding");
            must!(
                coding == Some("chunked"),
                "`transfer-encoding` is {coding:?}"
            );
            let length = response.field("content-length");
            must!(length.is_none(), "`content-length` is {length:?}");
            expect_one_two(&response)?;
            server.call().await?.ended().await.map(|_| ())
        }),
    },
    Case {
        rule: rule::STREAMED_FRAMING,
        name: "a_streamed_response_to_http10",
        transports: HTTP1,
        does: "Has the application answer an HTTP/1.0 client in two parts.",
        must: "The response has no transfer coding, and ends with the connection.",
        basis: Basis::Standard(&[demands(Rfc(9112), "6.1")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client.send(streamed().http10()).await?;
            let mut response = client.head().await?;
            if response.status >= 400 {
                return Err(refusal_of_http10(&response));
            }
            let coding = response.field("transfer-encoding");
            must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
            response.body = client.read_to_end().await?;
            expect_one_two(&response)?;
            server.call().await?.ended().await.map(|_| ())
        }),
    },
    Case {
        rule: rule::STREAMED_FRAMING,
        name: "a_streamed_response",
        transports: HTTP2,
        does: "Has the application answer in two parts.",
        must: "The content comes in DATA frames, and the stream ends.",
        basis: Basis::Standard(&[
            demands(Rfc(9113), "8.2.2"),
            demands(AsgiHttp, "HTTP: Response Body - send event"),
        ]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let response = server.connect_http2().await?.exchange(&streamed()).await?;
            let coding = response.field("transfer-encoding");
            must!(coding.is_none(), "`transfer-encoding` is {coding:?}");
            expect_one_two(&response)?;
            server.call().await?.ended().await.map(|_| ())
        }),
    },
];

fn streamed() -> Request {
    Request::get("/")
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::part("one, "))
        .sends(HttpResponseBody::last("two"))
        .step(Step::Return)
}

fn expect_one_two(response: &Response) -> CaseResult {
    let text = response.text();
    must!(text == "one, two", "the content is `{text}`");
    Ok(())
}

const EMPTY_BODY_FLUSHES_HEAD: &[Case] = &[Case {
    rule: rule::EMPTY_BODY_FLUSHES_HEAD,
    name: "an_empty_first_part",
    transports: HTTP1_AND_HTTP2,
    does: "Has the application send an empty part first, and nothing more for a while.",
    must: "The client is sent the head.",
    basis: Basis::CallgateOnly("ASGI does not say what an empty part of a response does"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
        let mut app = server.call().await?;
        app.send(HttpResponseStart::ok()).await?;
        app.send(HttpResponseBody::part("")).await?;
        exchange.head().await?;
        app.send(HttpResponseBody::end()).await?;
        app.finish(Step::Return).await
    }),
}];

const EVENTS_ARE_NOT_HELD_BASIS: Basis =
    Basis::Standard(&[demands(AsgiHttp, "HTTP: Response Body - send event")]);

const EVENTS_ARE_NOT_HELD: &[Case] = &[
    Case {
        rule: rule::EVENTS_ARE_NOT_HELD,
        name: "one_part_after_the_other",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application send each part when the client has read the one before.",
        must: "The client can read each.",
        basis: EVENTS_ARE_NOT_HELD_BASIS,
        steps: steps!(async |fixture, transport| {
            parts_one_by_one(fixture, transport, HttpResponseStart::ok()).await
        }),
    },
    Case {
        rule: rule::EVENTS_ARE_NOT_HELD,
        name: "one_part_after_the_other_up_to_a_length",
        transports: HTTP1,
        does: "Has the application set `content-length`, send that much in three parts, and then an empty end.",
        must: "The client can read each part, and the end is taken.",
        basis: EVENTS_ARE_NOT_HELD_BASIS,
        steps: steps!(async |fixture| {
            let start = HttpResponseStart::ok().header("content-length", "11");
            parts_one_by_one(fixture, Transport::Http1, start).await
        }),
    },
];

async fn parts_one_by_one(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    start: HttpResponseStart,
) -> CaseResult {
    let server = fixture.server().await?;
    let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
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
                ResponsePart::Content(content) => read += content.len(),
                end => must!(false, "in place of `{part}` the client saw {end}"),
            }
        }
    }
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await
}
