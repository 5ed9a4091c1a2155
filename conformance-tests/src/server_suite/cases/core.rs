//! `overview.md`: the call, and how it ends.

use callgate::{HttpResponseBody, HttpResponseStart, rule};

use super::steps::{stream_over_http1, stream_over_http2};
use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Asgi::Shared, Case, Outcome, case, must};
use crate::server_suite::launch::{Lifespan, Settings};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::{handshake, handshake_to};

const REPORTS: Asgi = Asgi::Differs("ASGI does not say what a server reports.");
const DECLINES: Asgi =
    Asgi::Differs("In ASGI an application declines HTTP with no error of its own.");

pub(super) const CASES: &[Case] = &[
    case!(
        a_request_is_one_call: ONE_CALL, Shared,
        "Sends two pipelined requests of HTTP/1.1, and one of HTTP/1.0.",
        "Each is one call with a scope of HTTP, and there is no other."
    ),
    case!(
        a_request_is_one_call_over_http2: ONE_CALL, Shared,
        "Sends two requests at once over one HTTP/2 connection.",
        "Each is one call with a scope of HTTP, and there is no other."
    ),
    case!(
        a_websocket_is_one_call: ONE_CALL, Shared,
        "Opens a WebSocket.",
        "It is one call with a scope of a WebSocket, and there is no other."
    ),
    case!(
        a_request_is_declined: DECLINED_IS_501, DECLINES,
        "Sends a request that the application declines.",
        "The answer is 501."
    ),
    case!(
        a_request_is_declined_over_http2: DECLINED_IS_501, DECLINES,
        "Sends a request that the application declines.",
        "The answer is 501."
    ),
    case!(
        a_websocket_is_declined: DECLINED_IS_501, DECLINES,
        "Sends a handshake that the application declines.",
        "The answer is 501."
    ),
    case!(
        the_application_panics: PANIC_IS_CONTAINED, Shared,
        "Has the application panic in one exchange while another is streamed.",
        "The other goes on to its end, and a new connection is served."
    ),
    case!(
        the_application_panics_over_http2: PANIC_IS_CONTAINED, Shared,
        "Has the application panic in one exchange while another is streamed on the same connection.",
        "The other goes on to its end, and the connection takes a further request."
    ),
    case!(
        the_application_panics_in_a_websocket: PANIC_IS_CONTAINED, Shared,
        "Has the application panic in a WebSocket while a response is streamed.",
        "The response goes on to its end, and a new connection is served."
    ),
    case!(
        the_application_fails: FAILURE_IS_REPORTED, REPORTS,
        "Has the application return an error.",
        "The log names the request, and has the error in one line."
    ),
    case!(
        the_failing_application_panics: FAILURE_IS_REPORTED, REPORTS,
        "Has the application panic.",
        "The log names the request, and has the panic's message in one line with it."
    ),
    case!(
        the_application_returns_a_violation: FAILURE_IS_REPORTED, REPORTS,
        "Has the application send content before `http.response.start` and return the error.",
        "The log names the request, and has the rule in one line."
    ),
    case!(
        the_application_fails_in_a_websocket: FAILURE_IS_REPORTED, REPORTS,
        "Has the application return an error from a WebSocket that it accepted.",
        "The log names the request, and has the error in one line."
    ),
    case!(
        a_disconnect_is_returned: DISCONNECT_IS_NO_FAILURE, REPORTS,
        "Has the application return `SendError::Disconnected` after the client is gone.",
        "The log has no error."
    ),
    case!(
        a_disconnect_is_returned_over_http2: DISCONNECT_IS_NO_FAILURE, REPORTS,
        "Has the application return `SendError::Disconnected` after the client has reset the stream.",
        "The log has no error."
    ),
    case!(
        a_disconnect_is_returned_from_a_websocket: DISCONNECT_IS_NO_FAILURE, REPORTS,
        "Has the application return `SendError::Disconnected` after the client is gone.",
        "The log has no error."
    ),
];

async fn a_request_is_one_call(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let both = [Request::get("/first"), Request::get("/second")].map(|get| get.http1());
    client.send(both.concat()).await?;
    // In which order they are answered is another rule's matter.
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
    server.was_not_called().await?;
    let mut client = server.connect().await?;
    client.send("GET /old HTTP/1.0\r\n\r\n").await?;
    let app = server.call().await?;
    app.http()?;
    app.finish(Step::Decline).await?;
    server.was_not_called().await
}

async fn a_request_is_one_call_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let _first = client.begin(&Request::get("/first"), false).await?;
    let _second = client.begin(&Request::get("/second"), false).await?;
    let (first, second) = (server.call().await?, server.call().await?);
    let mut paths = [&first, &second].map(|app| Ok(app.http()?.raw_path().to_owned()));
    paths.sort_by_key(|path: &Outcome<String>| path.as_ref().ok().cloned());
    let [one, other] = paths;
    let (one, other) = (one?, other?);
    must!(
        one == "/first" && other == "/second",
        "the calls are for {one} and for {other}"
    );
    first.finish(Step::Decline).await?;
    second.finish(Step::Decline).await?;
    server.was_not_called().await
}

async fn a_websocket_is_one_call(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(handshake().http1()).await?;
    let app = server.call().await?;
    app.websocket()?;
    app.finish(Step::Decline).await?;
    server.was_not_called().await
}

async fn a_request_is_declined(bench: &mut Bench<'_>) -> Outcome {
    declines(bench.server().await?, Request::get("/")).await
}

async fn a_websocket_is_declined(bench: &mut Bench<'_>) -> Outcome {
    declines(bench.server().await?, handshake()).await
}

async fn declines(server: &mut Server, request: Request) -> Outcome {
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    server.call().await?.finish(Step::Decline).await?;
    is_declined(client.head().await?.status)
}

async fn a_request_is_declined_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    server.call().await?.finish(Step::Decline).await?;
    is_declined(exchange.head().await?.head.status)
}

fn is_declined(status: u16) -> Outcome {
    must!(status == 501, "the answer is {status}");
    Ok(())
}

const PANIC: &str = "a panic that the suite asks for";

async fn the_application_panics(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    panics_beside_a_response(server, Request::get("/")).await
}

async fn the_application_panics_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    panics_beside_a_response(server, handshake()).await
}

async fn panics_beside_a_response(server: &mut Server, panicking: Request) -> Outcome {
    let (mut client, mut app) = stream_over_http1(server).await?;
    let mut other = server.connect().await?;
    other.send(panicking.http1()).await?;
    let mut panicking = server.call().await?;
    panicking.end(Step::Panic(PANIC.into())).await?;
    server.was_not_called().await?;
    must!(app.is_running().await?, "the other call has ended");
    app.send(HttpResponseBody::last("the whole")).await?;
    app.finish(Step::Return).await?;
    client.through(b"the whole", "the other response").await?;
    Ok(())
}

async fn the_application_panics_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (mut client, exchange, mut app) = stream_over_http2(server).await?;
    let _other = client.begin(&Request::get("/"), false).await?;
    let mut panicking = server.call().await?;
    panicking.end(Step::Panic(PANIC.into())).await?;
    let _further = client.begin(&Request::get("/further"), false).await?;
    server.call().await?.finish(Step::Decline).await?;
    must!(app.is_running().await?, "the other call has ended");
    app.send(HttpResponseBody::last("whole")).await?;
    app.finish(Step::Return).await?;
    exchange.head().await?.arrives(b"whole").await
}

/// What stands in the log for one exchange, and nowhere else.
const TARGET: &str = "/callgate-reported";
const FAILURE: &str = "a failure that the suite asks for";

async fn the_application_fails(bench: &mut Bench<'_>) -> Outcome {
    let log = log_of(bench, Request::get(TARGET), async |mut app| {
        app.end(Step::Fail(FAILURE.into())).await.map(|_| ())
    });
    reports_once(&log.await?, FAILURE)
}

async fn the_failing_application_panics(bench: &mut Bench<'_>) -> Outcome {
    let log = log_of(bench, Request::get(TARGET), async |mut app| {
        app.end(Step::Panic(PANIC.into())).await.map(|_| ())
    });
    // Where a panic is told at once, as the standard library does, that is no report of a request.
    let log = log.await?;
    let reports = log.lines().filter(|line| line.contains(TARGET));
    reports_once(&reports.collect::<Vec<_>>().join("\n"), PANIC)
}

async fn the_application_returns_a_violation(bench: &mut Bench<'_>) -> Outcome {
    let log = log_of(bench, Request::get(TARGET), async |mut app| {
        app.try_send(HttpResponseBody::end()).await?;
        app.end(Step::FailAsSent).await.map(|_| ())
    });
    reports_once(&log.await?, rule::START_FIRST.id)
}

async fn the_application_fails_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let log = log_of(bench, handshake_to(TARGET), async |mut app| {
        app.send(callgate::WebSocketAccept::new()).await?;
        app.end(Step::Fail(FAILURE.into())).await.map(|_| ())
    });
    reports_once(&log.await?, FAILURE)
}

/// The whole log of a server that served this request.
async fn log_of(
    bench: &mut Bench<'_>,
    request: Request,
    steps: impl AsyncFnOnce(Remote) -> Outcome,
) -> Outcome<String> {
    let mut server = launch(bench).await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    steps(server.call().await?).await?;
    server.settle().await?;
    drop(client);
    whole_log(server).await
}

/// A server that ends as soon as it is told to.
async fn launch(bench: &mut Bench<'_>) -> Outcome<Server> {
    let settings = Settings {
        lifespan: Lifespan::Off,
        ..Settings::default()
    };
    let mut server = bench.launch(&settings).await?;
    server.live().await?;
    Ok(server)
}

/// What the server has written to its log in all its life: it is told to end, as only then it will
/// not write more.
async fn whole_log(mut server: Server) -> Outcome<String> {
    server.stop()?;
    server.exit().await?;
    Ok(server.server_log())
}

fn reports_once(log: &str, what: &str) -> Outcome {
    let lines = log.lines().filter(|line| line.contains(what)).count();
    must!(
        lines == 1,
        "`{what}` stands in {lines} lines of the log:\n{log}"
    );
    must!(
        log.contains(TARGET),
        "the log does not name {TARGET}:\n{log}"
    );
    Ok(())
}

async fn a_disconnect_is_returned(bench: &mut Bench<'_>) -> Outcome {
    returns_disconnected(bench, Request::get(TARGET)).await
}

async fn a_disconnect_is_returned_from_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    returns_disconnected(bench, handshake_to(TARGET)).await
}

async fn returns_disconnected(bench: &mut Bench<'_>, request: Request) -> Outcome {
    let mut server = launch(bench).await?;
    let mut client = server.connect().await?;
    client.send(request.http1()).await?;
    let mut app = server.call().await?;
    client.reset();
    server.settle().await?;
    app.end(Step::FailDisconnected).await?;
    has_no_error(&whole_log(server).await?)
}

async fn a_disconnect_is_returned_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let mut server = launch(bench).await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get(TARGET), false).await?;
    let mut app = server.call().await?;
    exchange.reset();
    server.settle().await?;
    app.end(Step::FailDisconnected).await?;
    has_no_error(&whole_log(server).await?)
}

fn has_no_error(log: &str) -> Outcome {
    let report = log
        .lines()
        .find(|line| line.to_ascii_lowercase().contains("error"));
    match report {
        None => Ok(()),
        Some(line) => Err(Verdict::failed(format!("the log says `{line}`"))),
    }
}
