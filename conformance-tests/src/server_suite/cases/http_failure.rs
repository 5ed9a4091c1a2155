//! `http.md`: applications that fail, and those that work on after the response.

use callgate::{HttpResponseBody, HttpResponseStart, rule};

use super::steps::{answered, respond};
use crate::basis::{Basis, Document::AsgiHttp, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, ResponsePart, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;

/// The text of the application's failure.
const SECRET: &str = "the-reason-why";

pub(super) const CASES: &[&[Case]] = &[
    FAILURE_BEFORE_SENDING_IS_500,
    FAILURE_AFTER_SENDING_RESETS,
    FAILURE_IS_NOT_REVEALED,
    BACKGROUND_WORK,
];

const FAILURE_BEFORE_SENDING_IS_500_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", has the connection terminated, and names no response",
);

const FAILURE_BEFORE_SENDING_IS_500: &[Case] = &[
    Case {
        rule: rule::FAILURE_BEFORE_SENDING_IS_500,
        name: "returning_before_sending",
        transports: HTTP1,
        does: "Has the application return before `http.response.start`, and after it.",
        must: "The answer is 500.",
        basis: FAILURE_BEFORE_SENDING_IS_500_BASIS,
        steps: steps!(async |fixture| {
            before_sending(fixture, Transport::Http1, Failure::Returns).await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_SENDING_IS_500,
        name: "failing_before_sending",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application fail before `http.response.start`, and after it.",
        must: "The answer is 500.",
        basis: FAILURE_BEFORE_SENDING_IS_500_BASIS,
        steps: steps!(async |fixture, transport| {
            before_sending(fixture, transport, Failure::Fails).await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_SENDING_IS_500,
        name: "panicking_before_sending",
        transports: HTTP1,
        does: "Has the application panic before `http.response.start`, and after it.",
        must: "The answer is 500.",
        basis: FAILURE_BEFORE_SENDING_IS_500_BASIS,
        steps: steps!(async |fixture| {
            before_sending(fixture, Transport::Http1, Failure::Panics).await
        }),
    },
    Case {
        rule: rule::FAILURE_BEFORE_SENDING_IS_500,
        name: "breaking_a_rule_before_sending",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application send content before the start, and a second start.",
        must: "The answer is 500, before the call has ended.",
        basis: FAILURE_BEFORE_SENDING_IS_500_BASIS,
        steps: steps!(async |fixture, transport| {
            before_sending(fixture, transport, Failure::BreaksARule).await
        }),
    },
];

/// The way in which the application fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Returns,
    Fails,
    Panics,
    Declines,
    /// Sends an event that breaks a rule, in every phase.
    BreaksARule,
}

impl Failure {
    /// Has the application fail. The call goes on if that does not end it.
    async fn happen(self, app: &mut ProbeCall, has_started: bool) -> CaseResult {
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
    async fn end(self, mut app: ProbeCall) -> CaseResult {
        if let Self::BreaksARule = self {
            return app.finish(Step::FailAsSent).await;
        }
        app.ended().await.map(|_| ())
    }
}

async fn before_sending(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    failure: Failure,
) -> CaseResult {
    let server = fixture.server().await?;
    for has_started in [false, true] {
        let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
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

const FAILURE_AFTER_SENDING_RESETS_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", has the connection terminated, and does not say how",
);

const FAILURE_AFTER_SENDING_RESETS: &[Case] = &[
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "returning_while_streaming",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application return in the middle of a response.",
        must: "The connection ends without the last chunk, or over HTTP/2 the stream is reset and the connection goes on.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture, transport| {
            while_streaming(fixture, transport, Failure::Returns).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "failing_while_streaming",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application fail in the middle of a response.",
        must: "The connection ends without the last chunk, or over HTTP/2 the stream is reset and the connection goes on.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture, transport| {
            while_streaming(fixture, transport, Failure::Fails).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "panicking_while_streaming",
        transports: HTTP1,
        does: "Has the application panic in the middle of a chunked response.",
        must: "The connection ends without the last chunk.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture| {
            while_streaming(fixture, Transport::Http1, Failure::Panics).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "declining_while_streaming",
        transports: HTTP1,
        does: "Has the application decline in the middle of a chunked response.",
        must: "The connection ends without the last chunk.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture| {
            while_streaming(fixture, Transport::Http1, Failure::Declines).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "breaking_a_rule_while_streaming",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application send a second start in the middle of a response.",
        must: "Before the call has ended, the connection ends without the last chunk, or over HTTP/2 the stream is reset and the connection goes on.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture, transport| {
            while_streaming(fixture, transport, Failure::BreaksARule).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "ending_before_the_length",
        transports: HTTP1,
        does: "Has the application return before its `content-length` is reached.",
        must: "The connection ends before it is reached.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut exchange =
                ClientExchange::begin(server, Transport::Http1, &Request::get("/")).await?;
            let start = HttpResponseStart::ok().header("content-length", "8");
            let app = begin_response(server, &mut exchange, start).await?;
            app.finish(Step::Return).await?;
            is_cut(&mut exchange).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "exceeding_the_length",
        transports: HTTP1,
        does: "Has the application send a last part that is too long for its `content-length`.",
        must: "The connection ends before the length is reached: nothing of the part is sent.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut exchange =
                ClientExchange::begin(server, Transport::Http1, &Request::get("/")).await?;
            let start = HttpResponseStart::ok().header("content-length", "8");
            let mut app = begin_response(server, &mut exchange, start).await?;
            app.begin(Step::Send(HttpResponseBody::last("too long").into()));
            is_cut(&mut exchange).await?;
            app.finish(Step::FailAsSent).await
        }),
    },
    Case {
        rule: rule::FAILURE_AFTER_SENDING_RESETS,
        name: "failing_while_streaming_to_http10",
        transports: HTTP1,
        does: "Has the application fail in the middle of a response that ends with the connection.",
        must: "The connection is reset, since an orderly end would look like that of the response.",
        basis: FAILURE_AFTER_SENDING_RESETS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client.send(Request::get("/").http10()).await?;
            let mut app = server.call().await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::part("begun")).await?;
            client.head().await?;
            client.read_exactly(5).await?;
            app.finish(Step::Fail(SECRET.into())).await?;
            let (rest, is_orderly) = client.read_to_any_end().await?;
            must!(
                !is_orderly,
                "after `{}` the connection ended as if the response were whole",
                rest.escape_ascii()
            );
            Ok(())
        }),
    },
];

async fn while_streaming(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    failure: Failure,
) -> CaseResult {
    let server = fixture.server().await?;
    let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
    let mut app = begin_response(server, &mut exchange, HttpResponseStart::ok()).await?;
    failure.happen(&mut app, true).await?;
    is_cut(&mut exchange).await?;
    failure.end(app).await?;
    if transport == Transport::Http2 {
        // The connection goes on.
        exchange.fence(server).await?;
    }
    Ok(())
}

/// Has the application send a part, which the client reads.
async fn begin_response(
    server: &mut Server,
    exchange: &mut ClientExchange,
    start: HttpResponseStart,
) -> CaseResult<ProbeCall> {
    let mut app = server.call().await?;
    app.send(start).await?;
    app.send(HttpResponseBody::part("begun")).await?;
    exchange.head().await?;
    let begun = exchange.next().await?;
    must!(
        matches!(begun, ResponsePart::Content(_)),
        "the client saw {begun}"
    );
    Ok(app)
}

/// Checks that the response does not end like a complete one.
async fn is_cut(exchange: &mut ClientExchange) -> CaseResult {
    let (_, end) = exchange.end().await?;
    must!(matches!(end, ResponsePart::Cut(_)), "the client saw {end}");
    Ok(())
}

const FAILURE_IS_NOT_REVEALED_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", leaves it to the server how errors are surfaced",
);

const FAILURE_IS_NOT_REVEALED: &[Case] = &[
    Case {
        rule: rule::FAILURE_IS_NOT_REVEALED,
        name: "the_text_of_a_failure",
        transports: HTTP1,
        does: "Has the application fail with a text, before and after it has sent something.",
        must: "Nothing that the client is sent contains the text.",
        basis: FAILURE_IS_NOT_REVEALED_BASIS,
        steps: steps!(async |fixture| { is_not_revealed(fixture, Failure::Fails).await }),
    },
    Case {
        rule: rule::FAILURE_IS_NOT_REVEALED,
        name: "the_text_of_a_panic",
        transports: HTTP1,
        does: "Has the application panic with a text, before and after it has sent something.",
        must: "Nothing that the client is sent contains the text.",
        basis: FAILURE_IS_NOT_REVEALED_BASIS,
        steps: steps!(async |fixture| { is_not_revealed(fixture, Failure::Panics).await }),
    },
    Case {
        rule: rule::FAILURE_IS_NOT_REVEALED,
        name: "the_text_of_a_failure",
        transports: HTTP2,
        does: "Has the application fail with a text before it has sent anything.",
        must: "Nothing that the client is sent contains the text.",
        basis: FAILURE_IS_NOT_REVEALED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = Request::get("/");
            let mut exchange = ClientExchange::begin(server, Transport::Http2, &request).await?;
            let app = server.call().await?;
            app.finish(Step::Fail(SECRET.into())).await?;
            let response = exchange.response().await?;
            for value in response.fields.values() {
                contains_no_secret(value.as_bytes())?;
            }
            contains_no_secret(&response.body)
        }),
    },
];

async fn is_not_revealed(fixture: &mut Fixture<'_>, failure: Failure) -> CaseResult {
    let server = fixture.server().await?;
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
        let (sent, _) = client.read_to_any_end().await?;
        contains_no_secret(&sent)?;
        failure.end(app).await?;
    }
    Ok(())
}

fn contains_no_secret(octets: &[u8]) -> CaseResult {
    let is_revealed = memchr::memmem::find(octets, SECRET.as_bytes()).is_some();
    must!(
        !is_revealed,
        "the client was sent `{}`",
        octets.escape_ascii()
    );
    Ok(())
}

const BACKGROUND_WORK_BASIS: Basis =
    Basis::Standard(&[demands(AsgiHttp, "HTTP: Response Body - send event")]);

const BACKGROUND_WORK: &[Case] = &[
    Case {
        rule: rule::BACKGROUND_WORK,
        name: "a_response_of_an_application_that_works_on",
        transports: HTTP1,
        does: "Has the application send a whole response and go on.",
        must: "The client can read the whole response.",
        basis: BACKGROUND_WORK_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = Request::get("/");
            let mut exchange = ClientExchange::begin(server, Transport::Http1, &request).await?;
            let mut app = server.call().await?;
            respond(&mut app, "whole").await?;
            exchange.response().await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::BACKGROUND_WORK,
        name: "the_connection_of_an_application_that_works_on",
        transports: HTTP1,
        does: "Has the application send a whole response and go on, and sends a further request.",
        must: "The further request is answered.",
        basis: Basis::CallgateOnly(
            "ASGI does not say when the next request on a connection is served",
        ),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
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
        }),
    },
    Case {
        rule: rule::BACKGROUND_WORK,
        name: "an_application_that_works_on",
        transports: HTTP2,
        does: "Has the application send a whole response in parts and go on.",
        must: "The client can read the whole response.",
        basis: BACKGROUND_WORK_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = Request::get("/");
            let mut exchange = ClientExchange::begin(server, Transport::Http2, &request).await?;
            let mut app = server.call().await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::part("one, ")).await?;
            app.send(HttpResponseBody::last("two")).await?;
            exchange.response().await?;
            app.finish(Step::Return).await
        }),
    },
];
