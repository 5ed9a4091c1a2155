//! `http.md`: applications that fail, and those that work on after the response.

use callgate::{HttpResponseBody, HttpResponseStart};

use super::steps::{answered, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::{Exchange, Next, Over};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

const FAILURE: &str = "ASGI does not say what a client gets when the application fails";
const BACKGROUND: &str = "ASGI does not say when the next request on a connection is served";
/// What the application says of its failure.
const SECRET: &str = "the-reason-why";

pub(super) const CASES: &[Case] = &[
    case!(
        returning_before_sending: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application return before `http.response.start`, and after it.",
        "The answer is 500."
    ),
    case!(
        failing_before_sending: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application fail before `http.response.start`, and after it.",
        "The answer is 500."
    ),
    case!(
        panicking_before_sending: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application panic before `http.response.start`, and after it.",
        "The answer is 500."
    ),
    case!(
        breaking_a_rule_before_sending: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application send content before the start, and a second start.",
        "The answer is 500, before the call has ended."
    ),
    case!(
        failing_before_sending_over_http2: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application fail before `http.response.start`, and after it.",
        "The answer is 500."
    ),
    case!(
        breaking_a_rule_before_sending_over_http2: FAILURE_BEFORE_SENDING_IS_500, Differs(FAILURE),
        "Has the application send content before the start, and a second start.",
        "The answer is 500, before the call has ended."
    ),
    case!(
        returning_while_streaming: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application return in the middle of a chunked response.",
        "The connection ends without the last chunk."
    ),
    case!(
        failing_while_streaming: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application fail in the middle of a chunked response.",
        "The connection ends without the last chunk."
    ),
    case!(
        panicking_while_streaming: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application panic in the middle of a chunked response.",
        "The connection ends without the last chunk."
    ),
    case!(
        declining_while_streaming: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application decline in the middle of a chunked response.",
        "The connection ends without the last chunk."
    ),
    case!(
        breaking_a_rule_while_streaming: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application send a second start in the middle of a chunked response.",
        "The connection ends without the last chunk, before the call has ended."
    ),
    case!(
        ending_before_the_length: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application return before its `content-length` is reached.",
        "The connection ends before it is reached."
    ),
    case!(
        exceeding_the_length: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application send a last part that is too long for its `content-length`.",
        "The connection ends before the length is reached: nothing of the part is sent."
    ),
    case!(
        failing_while_streaming_to_http10: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application fail in the middle of a response that ends with the connection.",
        "The connection is reset, since an orderly end would look like that of the response."
    ),
    case!(
        returning_while_streaming_over_http2: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application return in the middle of a response.",
        "The stream is reset, and the connection goes on."
    ),
    case!(
        failing_while_streaming_over_http2: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application fail in the middle of a response.",
        "The stream is reset, and the connection goes on."
    ),
    case!(
        breaking_a_rule_while_streaming_over_http2: FAILURE_AFTER_SENDING_RESETS, Differs(FAILURE),
        "Has the application send a second start in the middle of a response.",
        "The stream is reset before the call has ended, and the connection goes on."
    ),
    case!(
        the_text_of_a_failure: FAILURE_IS_NOT_REVEALED, Differs(FAILURE),
        "Has the application fail with a text, before and after it has sent something.",
        "Nothing that the client is sent contains the text."
    ),
    case!(
        the_text_of_a_panic: FAILURE_IS_NOT_REVEALED, Differs(FAILURE),
        "Has the application panic with a text, before and after it has sent something.",
        "Nothing that the client is sent contains the text."
    ),
    case!(
        the_text_of_a_failure_over_http2: FAILURE_IS_NOT_REVEALED, Differs(FAILURE),
        "Has the application fail with a text before it has sent anything.",
        "Nothing that the client is sent contains the text."
    ),
    case!(
        a_response_of_an_application_that_works_on: BACKGROUND_WORK, Shared,
        "Has the application send a whole response and go on.",
        "The client can read the whole response."
    ),
    case!(
        the_connection_of_an_application_that_works_on: BACKGROUND_WORK, Differs(BACKGROUND),
        "Has the application send a whole response and go on, and sends a further request.",
        "The further request is answered."
    ),
    case!(
        an_application_that_works_on_over_http2: BACKGROUND_WORK, Shared,
        "Has the application send a whole response in parts and go on.",
        "The client can read the whole response."
    ),
];

/// How the application fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Returns,
    Fails,
    Panics,
    Declines,
    /// Sends what it may not send, in every phase.
    BreaksARule,
}

impl Failure {
    /// Has the application fail. The call goes on if that does not end it.
    async fn happen(self, app: &mut Remote, has_started: bool) -> Outcome {
        app.begin(match self {
            Self::Returns => Step::Return,
            Self::Fails => Step::Fail(SECRET.into()),
            Self::Panics => Step::Panic(SECRET.into()),
            Self::Declines => Step::Decline,
            Self::BreaksARule if has_started => Step::Send(HttpResponseStart::ok().into()),
            Self::BreaksARule => Step::Send(HttpResponseBody::last("too early").into()),
        });
        Ok(())
    }

    /// Ends the call if the failure did not.
    async fn end(self, mut app: Remote) -> Outcome {
        if let Self::BreaksARule = self {
            return app.finish(Step::FailAsSent).await;
        }
        app.ended().await.map(|_| ())
    }
}

async fn returning_before_sending(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http1, Failure::Returns).await
}

async fn failing_before_sending(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http1, Failure::Fails).await
}

async fn panicking_before_sending(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http1, Failure::Panics).await
}

async fn breaking_a_rule_before_sending(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http1, Failure::BreaksARule).await
}

async fn failing_before_sending_over_http2(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http2, Failure::Fails).await
}

async fn breaking_a_rule_before_sending_over_http2(bench: &mut Bench<'_>) -> Outcome {
    before_sending(bench, Over::Http2, Failure::BreaksARule).await
}

async fn before_sending(bench: &mut Bench<'_>, over: Over, failure: Failure) -> Outcome {
    let server = bench.server().await?;
    for has_started in [false, true] {
        let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
        let mut app = server.call().await?;
        if has_started {
            app.send(HttpResponseStart::ok()).await?;
        }
        failure.happen(&mut app, has_started).await?;
        let status = exchange.head().await?.status;
        let when = if has_started { "after" } else { "before" };
        must!(status == 500, "{when} the start the answer is {status}");
        failure.end(app).await?;
    }
    Ok(())
}

async fn returning_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http1, Failure::Returns).await
}

async fn failing_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http1, Failure::Fails).await
}

async fn panicking_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http1, Failure::Panics).await
}

async fn declining_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http1, Failure::Declines).await
}

async fn breaking_a_rule_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http1, Failure::BreaksARule).await
}

async fn returning_while_streaming_over_http2(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http2, Failure::Returns).await
}

async fn failing_while_streaming_over_http2(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http2, Failure::Fails).await
}

async fn breaking_a_rule_while_streaming_over_http2(bench: &mut Bench<'_>) -> Outcome {
    while_streaming(bench, Over::Http2, Failure::BreaksARule).await
}

async fn while_streaming(bench: &mut Bench<'_>, over: Over, failure: Failure) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = begin_response(server, &mut exchange, HttpResponseStart::ok()).await?;
    failure.happen(&mut app, true).await?;
    is_cut(&mut exchange).await?;
    failure.end(app).await?;
    if over == Over::Http2 {
        // The connection goes on.
        exchange.fence(server).await?;
    }
    Ok(())
}

/// Has the application send a part, which the client reads.
async fn begin_response(
    server: &mut Server,
    exchange: &mut Exchange,
    start: HttpResponseStart,
) -> Outcome<Remote> {
    let mut app = server.call().await?;
    app.send(start).await?;
    app.send(HttpResponseBody::part("begun")).await?;
    exchange.head().await?;
    let begun = exchange.next().await?;
    must!(matches!(begun, Next::Content(_)), "the client saw {begun}");
    Ok(app)
}

/// That the response does not end as a whole one would.
async fn is_cut(exchange: &mut Exchange) -> Outcome {
    let (_, end) = exchange.end().await?;
    must!(matches!(end, Next::Cut(_)), "the client saw {end}");
    Ok(())
}

async fn ending_before_the_length(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, Over::Http1, &Request::get("/")).await?;
    let start = HttpResponseStart::ok().header("content-length", "8");
    let app = begin_response(server, &mut exchange, start).await?;
    app.finish(Step::Return).await?;
    is_cut(&mut exchange).await
}

async fn exceeding_the_length(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, Over::Http1, &Request::get("/")).await?;
    let start = HttpResponseStart::ok().header("content-length", "8");
    let mut app = begin_response(server, &mut exchange, start).await?;
    app.begin(Step::Send(HttpResponseBody::last("too long").into()));
    is_cut(&mut exchange).await?;
    app.finish(Step::FailAsSent).await
}

async fn failing_while_streaming_to_http10(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http10()).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("begun")).await?;
    client.head().await?;
    client.exactly(5).await?;
    app.finish(Step::Fail(SECRET.into())).await?;
    let (rest, is_orderly) = client.any_rest().await?;
    must!(
        !is_orderly,
        "after `{}` the connection ended as if the response were whole",
        rest.escape_ascii()
    );
    Ok(())
}

async fn the_text_of_a_failure(bench: &mut Bench<'_>) -> Outcome {
    is_not_revealed(bench, Failure::Fails).await
}

async fn the_text_of_a_panic(bench: &mut Bench<'_>) -> Outcome {
    is_not_revealed(bench, Failure::Panics).await
}

async fn is_not_revealed(bench: &mut Bench<'_>, failure: Failure) -> Outcome {
    let server = bench.server().await?;
    for is_streaming in [false, true] {
        let mut client = server.connect().await?;
        // So that all that is sent comes before the connection is closed.
        let request = Request::get("/").field("connection", "close");
        client.send(request.http1()).await?;
        let mut app = server.call().await?;
        if is_streaming {
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::part("begun")).await?;
        }
        failure.happen(&mut app, is_streaming).await?;
        let (sent, _) = client.any_rest().await?;
        contains_no_secret(&sent)?;
        failure.end(app).await?;
    }
    Ok(())
}

async fn the_text_of_a_failure_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::get("/");
    let mut exchange = Exchange::begin(server, Over::Http2, &request).await?;
    let app = server.call().await?;
    app.finish(Step::Fail(SECRET.into())).await?;
    let response = exchange.response().await?;
    for value in response.fields.values() {
        contains_no_secret(value.as_bytes())?;
    }
    contains_no_secret(&response.body)
}

fn contains_no_secret(octets: &[u8]) -> Outcome {
    let is_revealed = octets
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    must!(
        !is_revealed,
        "the client was sent `{}`",
        octets.escape_ascii()
    );
    Ok(())
}

async fn a_response_of_an_application_that_works_on(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::get("/");
    let mut exchange = Exchange::begin(server, Over::Http1, &request).await?;
    let mut app = server.call().await?;
    respond(&mut app, "whole").await?;
    exchange.response().await?;
    app.finish(Step::Return).await
}

async fn the_connection_of_an_application_that_works_on(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    respond(&mut app, "whole").await?;
    client.response().await?;
    client
        .exchange(&answered(Request::get("/next"), "next"))
        .await?;
    server.call().await?.ended().await?;
    app.finish(Step::Return).await
}

async fn an_application_that_works_on_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::get("/");
    let mut exchange = Exchange::begin(server, Over::Http2, &request).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("one, ")).await?;
    app.send(HttpResponseBody::last("two")).await?;
    exchange.response().await?;
    app.finish(Step::Return).await
}
