//! `http.md`: a server that shuts down, in each phase of an exchange.

use std::time::Instant;

use callgate::{HttpResponseBody, HttpResponseStart, rule};

use super::steps::{answered, content, respond};
use crate::basis::Basis;
use crate::probe::{ProbeCallEnd, Step};
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, ResponsePart, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::http1::Http1;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::{Request, Response};
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;

pub(super) const CASES: &[&[Case]] = &[BACKGROUND_WORK_IS_AWAITED, SHUTDOWN_FINISHES_EXCHANGES];

const BACKGROUND_WORK_IS_AWAITED: &[Case] = &[Case {
    rule: rule::BACKGROUND_WORK_IS_AWAITED,
    name: "shutdown_during_background_work",
    transports: HTTP1_AND_HTTP2,
    does: "Stops the server while an application works on after its response.",
    must: "The application goes on until it returns by itself.",
    basis: Basis::CallgateOnly("ASGI does not say what a shutdown does to exchanges"),
    steps: steps!(async |fixture, transport| {
        let (mut server, idle) = launch(fixture).await?;
        let mut exchange = ClientExchange::begin(&server, transport, &Request::get("/")).await?;
        let mut app = server.call().await?;
        respond(&mut app, "whole").await?;
        exchange.response().await?;
        drop(exchange);
        stop(&mut server, idle).await?;
        app.act(Step::Fence).await?;
        app.begin(Step::Return);
        let end = app.ended().await?;
        must!(
            end == ProbeCallEnd::AsCommanded,
            "the call ended like this: {end:?}"
        );
        server.wait_for_exit().await.map(|_| ())
    }),
}];

/// Starts a server. Returns it with an idle connection, for [`stop`].
pub(super) async fn launch(fixture: &mut Fixture<'_>) -> CaseResult<(Server, Http1)> {
    let mut server = fixture.launch(&ServerSettings::default()).await?;
    server.run_lifespan().await?;
    let mut idle = server.connect().await?;
    // From the server's side as well: it has been accepted.
    let request = answered(Request::get("/"), "accepted");
    idle.exchange(&request).await?;
    server.call().await?.ended().await?;
    Ok((server, idle))
}

/// Stops the server, and waits until it has begun to.
pub(super) async fn stop(server: &mut Server, idle: Http1) -> CaseResult {
    server.stop()?;
    wait_until_stopping(server, idle).await
}

/// Waits until a server that has been told to stop closes an idle connection. It may answer requests on that
/// connection before.
pub(super) async fn wait_until_stopping(server: &mut Server, mut idle: Http1) -> CaseResult {
    let request = answered(Request::get("/"), "stopping");
    let start = Instant::now();
    while start.elapsed() < server.timeout()
        && let Ok(response) = idle.exchange(&request).await
    {
        server.call().await?.ended().await?;
        if response.lists("connection", "close") {
            break;
        }
    }
    idle.read_to_any_end().await.map(|_| ())
}

const SHUTDOWN_FINISHES_EXCHANGES_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say what a shutdown does to exchanges");

const SHUTDOWN_FINISHES_EXCHANGES: &[Case] = &[
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_content_is_coming",
        transports: HTTP1,
        does: "Stops the server before the request's content is whole.",
        must: "The content is received, and the response has `connection: close` and is whole.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let request = Request::new("POST", "/");
            let mut exchange =
                ClientExchange::begin_content(&server, Transport::Http1, request, 10).await?;
            exchange.send("first", false).await?;
            let mut app = server.call().await?;
            stop(&mut server, idle).await?;
            exchange.send(" last", true).await?;
            content(&mut app).await?;
            respond(&mut app, "whole").await?;
            app.finish(Step::Return).await?;
            is_last(&mut exchange).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_waiting",
        transports: HTTP1,
        does: "Stops the server before the response is started.",
        must: "The response has `connection: close` and is whole.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let mut exchange =
                ClientExchange::begin(&server, Transport::Http1, &Request::get("/")).await?;
            let mut app = server.call().await?;
            stop(&mut server, idle).await?;
            respond(&mut app, "whole").await?;
            app.finish(Step::Return).await?;
            is_last(&mut exchange).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_started",
        transports: HTTP1,
        does: "Stops the server between the start and the first body event.",
        must: "The response has `connection: close` and is whole.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let mut exchange =
                ClientExchange::begin(&server, Transport::Http1, &Request::get("/")).await?;
            let mut app = server.call().await?;
            app.send(HttpResponseStart::ok()).await?;
            stop(&mut server, idle).await?;
            app.send(HttpResponseBody::last("whole")).await?;
            app.finish(Step::Return).await?;
            is_last(&mut exchange).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_streaming",
        transports: HTTP1,
        does: "Stops the server in the middle of a response.",
        must: "The response is whole. Then the connection is closed, after one more response at most, with `connection: close`.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let mut exchange =
                ClientExchange::begin(&server, Transport::Http1, &Request::get("/")).await?;
            let app = begin_response(&mut server, &mut exchange).await?;
            stop(&mut server, idle).await?;
            end_response(app, &mut exchange).await?;
            match exchange {
                ClientExchange::Http1(side) => {
                    serves_one_request_at_most(&mut server, side.client).await
                }
                ClientExchange::Http2(_) => Ok(()),
            }
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_waiting",
        transports: HTTP2,
        does: "Stops the server before the response is started.",
        must: "The response is whole, and GOAWAY has been sent.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let mut exchange =
                ClientExchange::begin(&server, Transport::Http2, &Request::get("/")).await?;
            let mut app = server.call().await?;
            stop(&mut server, idle).await?;
            respond(&mut app, "whole").await?;
            app.finish(Step::Return).await?;
            let text = exchange.response().await?.text();
            must!(text == "whole", "the content is `{text}`");
            says_goaway(exchange).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FINISHES_EXCHANGES,
        name: "shutdown_while_streaming",
        transports: HTTP2,
        does: "Stops the server in the middle of a response.",
        must: "The response is whole, and GOAWAY has been sent.",
        basis: SHUTDOWN_FINISHES_EXCHANGES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, idle) = launch(fixture).await?;
            let mut exchange =
                ClientExchange::begin(&server, Transport::Http2, &Request::get("/")).await?;
            let app = begin_response(&mut server, &mut exchange).await?;
            stop(&mut server, idle).await?;
            end_response(app, &mut exchange).await?;
            says_goaway(exchange).await
        }),
    },
];

/// Checks that the response is the application's and has `connection: close`.
async fn is_last(exchange: &mut ClientExchange) -> CaseResult {
    let response = exchange.response().await?;
    let text = response.text();
    must!(text == "whole", "the content is `{text}`");
    says_close(&response)
}

/// Checks that the response has `connection: close`.
fn says_close(response: &Response) -> CaseResult {
    let connection = response.field("connection");
    must!(
        response.lists("connection", "close"),
        "`connection` is {connection:?}"
    );
    Ok(())
}

/// Checks that the server closes a connection, at once or behind the response to one more request: the client of a
/// response that began before the stop does not know that it is the last.
async fn serves_one_request_at_most(server: &mut Server, mut side: Http1) -> CaseResult {
    let request = answered(Request::get("/"), "one more");
    side.send_some(&request.http1()).await?;
    if side.is_at_end().await? {
        return Ok(());
    }
    let response = side.response().await?;
    server.call().await?.ended().await?;
    says_close(&response)?;
    side.expect_closed().await
}

async fn begin_response(
    server: &mut Server,
    exchange: &mut ClientExchange,
) -> CaseResult<ProbeCall> {
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("begun")).await?;
    exchange.head().await?;
    exchange.next().await?;
    Ok(app)
}

async fn end_response(mut app: ProbeCall, exchange: &mut ClientExchange) -> CaseResult {
    app.send(HttpResponseBody::last("done")).await?;
    app.finish(Step::Return).await?;
    let (rest, end) = exchange.end().await?;
    must!(
        rest == b"done" && matches!(end, ResponsePart::End),
        "the response went on with `{}`, and then the client saw {end}",
        rest.escape_ascii()
    );
    Ok(())
}

async fn says_goaway(exchange: ClientExchange) -> CaseResult {
    let Some(connection) = exchange.into_http2() else {
        return Ok(());
    };
    let farewell = connection.wait_for_close().await?;
    must!(
        farewell.is_go_away() && farewell.is_remote(),
        "the connection ended like this: {farewell}"
    );
    Ok(())
}
