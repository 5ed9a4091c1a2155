//! `overview.md`: the call, and how it ends.

use callgate::{HttpResponseBody, HttpResponseStart, rule};

use super::steps::{call_over, stream_over_http1, stream_over_http2};
use crate::Verdict;
use crate::basis::{Basis, Document::AsgiCore, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::{LifespanMode, ServerSettings};
use crate::server_suite::websocket::{handshake, handshake_to};

pub(super) const CASES: &[&[Case]] = &[
    ONE_CALL,
    DECLINED_IS_501,
    PANIC_IS_CONTAINED,
    FAILURE_IS_REPORTED,
    DISCONNECT_IS_NO_FAILURE,
];

const ONE_CALL_BASIS: Basis = Basis::Standard(&[demands(AsgiCore, "Applications")]);

const ONE_CALL: &[Case] = &[
    Case {
        rule: rule::ONE_CALL,
        name: "a_request_is_one_call",
        transports: HTTP1,
        does: "Sends two pipelined requests.",
        must: "Each is one call with an HTTP scope, and no other call comes.",
        basis: ONE_CALL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let both = [Request::get("/first"), Request::get("/second")].map(|get| get.http1());
            client.send(both.concat()).await?;
            // Another rule is about the order of the answers.
            let mut paths = Vec::new();
            for _ in &both {
                let mut app = server.call().await?;
                paths.push(app.http()?.raw_path().to_owned());
                app.send(HttpResponseStart::ok()).await?;
                app.send(HttpResponseBody::end()).await?;
                app.finish(Step::Return).await?;
            }
            paths.sort();
            must!(
                paths == ["/first", "/second"],
                "the calls are for {paths:?}"
            );
            server.expect_no_call().await
        }),
    },
    Case {
        rule: rule::ONE_CALL,
        name: "a_request_of_http10_is_one_call",
        transports: HTTP1,
        does: "Sends a request of HTTP/1.0.",
        must: "It is one call with an HTTP scope, and no other call comes.",
        basis: ONE_CALL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client.send("GET /old HTTP/1.0\r\n\r\n").await?;
            let app = server.call_of_http10(&mut client).await?;
            app.http()?;
            app.finish(Step::Decline).await?;
            server.expect_no_call().await
        }),
    },
    Case {
        rule: rule::ONE_CALL,
        name: "a_request_is_one_call",
        transports: HTTP2,
        does: "Sends two requests at once over one HTTP/2 connection.",
        must: "Each is one call with an HTTP scope, and no other call comes.",
        basis: ONE_CALL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect_http2().await?;
            let _first = client.begin(&Request::get("/first"), false).await?;
            let _second = client.begin(&Request::get("/second"), false).await?;
            let (first, second) = (server.call().await?, server.call().await?);
            let mut paths = [&first, &second].map(|app| Ok(app.http()?.raw_path().to_owned()));
            paths.sort_by_key(|path: &CaseResult<String>| path.as_ref().ok().cloned());
            let [one, other] = paths;
            let (one, other) = (one?, other?);
            must!(
                one == "/first" && other == "/second",
                "the calls are for {one} and for {other}"
            );
            first.finish(Step::Decline).await?;
            second.finish(Step::Decline).await?;
            server.expect_no_call().await
        }),
    },
    Case {
        rule: rule::ONE_CALL,
        name: "a_websocket_is_one_call",
        transports: HTTP1,
        does: "Opens a WebSocket.",
        must: "It is one call with a WebSocket scope, and no other call comes.",
        basis: ONE_CALL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client.send(handshake().http1()).await?;
            let app = server.call().await?;
            app.websocket()?;
            app.finish(Step::Decline).await?;
            server.expect_no_call().await
        }),
    },
];

const DECLINED_IS_501_BASIS: Basis =
    Basis::CallgateOnly("ASGI has no error by which an application declines a request");

const DECLINED_IS_501: &[Case] = &[
    Case {
        rule: rule::DECLINED_IS_501,
        name: "a_request_is_declined",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request that the application declines.",
        must: "The answer is 501.",
        basis: DECLINED_IS_501_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            expect_declined(transport, server, &Request::get("/")).await
        }),
    },
    Case {
        rule: rule::DECLINED_IS_501,
        name: "a_websocket_is_declined",
        transports: HTTP1,
        does: "Sends a handshake that the application declines.",
        must: "The answer is 501.",
        basis: DECLINED_IS_501_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            expect_declined(Transport::Http1, server, &handshake()).await
        }),
    },
];

async fn expect_declined(
    transport: Transport,
    server: &mut Server,
    request: &Request,
) -> CaseResult {
    let (mut exchange, app) = call_over(transport, server, request).await?;
    app.finish(Step::Decline).await?;
    let status = exchange.head().await?.status;
    must!(status == 501, "the answer is {status}");
    Ok(())
}

const PANIC_IS_CONTAINED_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say what an error in one call does to the others");

const PANIC_IS_CONTAINED: &[Case] = &[
    Case {
        rule: rule::PANIC_IS_CONTAINED,
        name: "the_application_panics",
        transports: HTTP1,
        does: "Has the application panic in one exchange while another is streamed.",
        must: "The other exchange goes on to its end, and a new connection is served.",
        basis: PANIC_IS_CONTAINED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            panic_beside_a_response(server, Request::get("/")).await
        }),
    },
    Case {
        rule: rule::PANIC_IS_CONTAINED,
        name: "the_application_panics",
        transports: HTTP2,
        does: "Has the application panic in one exchange while another is streamed on the same connection.",
        must: "The other exchange goes on to its end, and the connection takes a further request.",
        basis: PANIC_IS_CONTAINED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (mut client, exchange, mut app) = stream_over_http2(server).await?;
            let _other = client.begin(&Request::get("/"), false).await?;
            let mut panicking = server.call().await?;
            panicking.end(Step::Panic(PANIC.into())).await?;
            let _further = client.begin(&Request::get("/further"), false).await?;
            server.call().await?.finish(Step::Decline).await?;
            must!(app.is_running().await?, "the other call has ended");
            app.send(HttpResponseBody::last("whole")).await?;
            app.finish(Step::Return).await?;
            exchange.head().await?.expect_content(b"whole").await
        }),
    },
    Case {
        rule: rule::PANIC_IS_CONTAINED,
        name: "the_application_panics_in_a_websocket",
        transports: HTTP1,
        does: "Has the application panic in a WebSocket while a response is streamed.",
        must: "The response goes on to its end, and a new connection is served.",
        basis: PANIC_IS_CONTAINED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            panic_beside_a_response(server, handshake()).await
        }),
    },
];

const PANIC: &str = "a panic that the suite asks for";

async fn panic_beside_a_response(server: &mut Server, panicking: Request) -> CaseResult {
    let (mut client, mut app) = stream_over_http1(server).await?;
    let mut other = server.connect().await?;
    other.send(panicking.http1()).await?;
    let mut panicking = server.call().await?;
    panicking.end(Step::Panic(PANIC.into())).await?;
    server.expect_no_call().await?;
    must!(app.is_running().await?, "the other call has ended");
    app.send(HttpResponseBody::last("the whole")).await?;
    app.finish(Step::Return).await?;
    client
        .read_through(b"the whole", "the other response")
        .await?;
    Ok(())
}

const FAILURE_IS_REPORTED_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", leaves it to the server how errors are surfaced",
);

const FAILURE_IS_REPORTED: &[Case] = &[
    Case {
        rule: rule::FAILURE_IS_REPORTED,
        name: "the_application_fails",
        transports: HTTP1,
        does: "Has the application return an error.",
        must: "The log names the request, and has the error in one line.",
        basis: FAILURE_IS_REPORTED_BASIS,
        steps: steps!(async |fixture| {
            let log = log_of(fixture, Request::get(TARGET), async |mut app| {
                app.end(Step::Fail(FAILURE.into())).await.map(|_| ())
            });
            expect_one_report(&log.await?, FAILURE)
        }),
    },
    Case {
        rule: rule::FAILURE_IS_REPORTED,
        name: "the_failing_application_panics",
        transports: HTTP1,
        does: "Has the application panic.",
        must: "The log names the request, and has the panic's message in one line with it.",
        basis: FAILURE_IS_REPORTED_BASIS,
        steps: steps!(async |fixture| {
            let log = log_of(fixture, Request::get(TARGET), async |mut app| {
                app.end(Step::Panic(PANIC.into())).await.map(|_| ())
            });
            // The lines of a panic hook do not name the request, and do not count.
            let log = log.await?;
            let reports = log.lines().filter(|line| line.contains(TARGET));
            expect_one_report(&reports.collect::<Vec<_>>().join("\n"), PANIC)
        }),
    },
    Case {
        rule: rule::FAILURE_IS_REPORTED,
        name: "the_application_returns_a_violation",
        transports: HTTP1,
        does: "Has the application send content before `http.response.start` and return the error.",
        must: "The log names the request, and has the rule in one line.",
        basis: FAILURE_IS_REPORTED_BASIS,
        steps: steps!(async |fixture| {
            let log = log_of(fixture, Request::get(TARGET), async |mut app| {
                app.try_send(HttpResponseBody::end()).await?;
                app.end(Step::FailAsSent).await.map(|_| ())
            });
            expect_one_report(&log.await?, rule::START_FIRST.id)
        }),
    },
    Case {
        rule: rule::FAILURE_IS_REPORTED,
        name: "the_application_fails_in_a_websocket",
        transports: HTTP1,
        does: "Has the application return an error from a WebSocket that it accepted.",
        must: "The log names the request, and has the error in one line.",
        basis: FAILURE_IS_REPORTED_BASIS,
        steps: steps!(async |fixture| {
            let log = log_of(fixture, handshake_to(TARGET), async |mut app| {
                app.send(callgate::WebSocketAccept::new()).await?;
                app.end(Step::Fail(FAILURE.into())).await.map(|_| ())
            });
            expect_one_report(&log.await?, FAILURE)
        }),
    },
];

/// The target of the one request of a server, by which its log names it.
const TARGET: &str = "/callgate-reported";

const FAILURE: &str = "a failure that the suite asks for";

/// Returns the complete log of a server that served this request.
async fn log_of(
    fixture: &mut Fixture<'_>,
    request: Request,
    steps: impl AsyncFnOnce(ProbeCall) -> CaseResult,
) -> CaseResult<String> {
    let mut server = launch(fixture).await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    steps(server.call().await?).await?;
    server.settle().await?;
    drop(client);
    complete_log(server).await
}

/// Starts a server that ends as soon as it is stopped.
async fn launch(fixture: &mut Fixture<'_>) -> CaseResult<Server> {
    let settings = ServerSettings {
        lifespan: LifespanMode::Off,
        ..ServerSettings::default()
    };
    let mut server = fixture.launch(&settings).await?;
    server.run_lifespan().await?;
    Ok(server)
}

/// Stops the server, so that it writes nothing more, and returns its log.
async fn complete_log(mut server: Server) -> CaseResult<String> {
    server.stop()?;
    server.wait_for_exit().await?;
    Ok(server.server_log())
}

fn expect_one_report(log: &str, what: &str) -> CaseResult {
    let lines = log.lines().filter(|line| line.contains(what)).count();
    must!(
        lines == 1,
        "{lines} lines of the log contain `{what}`:\n{log}"
    );
    must!(
        log.contains(TARGET),
        "the log does not name {TARGET}:\n{log}"
    );
    Ok(())
}

const DISCONNECT_IS_NO_FAILURE_BASIS: Basis = Basis::CallgateOnly(
    "ASGI recommends this for exceptions that the server raised; the probe raises its own",
);

const DISCONNECT_IS_NO_FAILURE: &[Case] = &[
    Case {
        rule: rule::DISCONNECT_IS_NO_FAILURE,
        name: "a_disconnect_is_returned",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, and has the application return `SendError::Disconnected`.",
        must: "The log has no error.",
        basis: DISCONNECT_IS_NO_FAILURE_BASIS,
        steps: steps!(async |fixture, transport| {
            return_disconnected(transport, fixture, &Request::get(TARGET)).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_IS_NO_FAILURE,
        name: "a_disconnect_is_returned_from_a_websocket",
        transports: HTTP1,
        does: "Resets the connection during a handshake, and has the application return `SendError::Disconnected`.",
        must: "The log has no error.",
        basis: DISCONNECT_IS_NO_FAILURE_BASIS,
        steps: steps!(async |fixture| {
            return_disconnected(Transport::Http1, fixture, &handshake_to(TARGET)).await
        }),
    },
];

async fn return_disconnected(
    transport: Transport,
    fixture: &mut Fixture<'_>,
    request: &Request,
) -> CaseResult {
    let mut server = launch(fixture).await?;
    let (exchange, mut app) = call_over(transport, &mut server, request).await?;
    let _connection = exchange.reset();
    server.settle().await?;
    app.end(Step::FailDisconnected).await?;
    let log = complete_log(server).await?;
    let error = log
        .lines()
        .find(|line| line.to_ascii_lowercase().contains("error"));
    match error {
        None => Ok(()),
        Some(line) => Err(Verdict::failed(format!("the log contains `{line}`"))),
    }
}
