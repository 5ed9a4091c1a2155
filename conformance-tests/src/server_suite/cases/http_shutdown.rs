//! `http.md`: a server that shuts down, in each phase of an exchange.

use callgate::{HttpResponseBody, HttpResponseStart};

use super::steps::{answered, content, respond};
use crate::probe::{End, Step};
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi::Differs, Case, Outcome, case, must};
use crate::server_suite::exchange::{Exchange, Next, Over};
use crate::server_suite::http1::Http1;
use crate::server_suite::launch::Settings;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

const SHUTDOWN: &str = "ASGI does not say what a shutdown does to exchanges";

pub(super) const CASES: &[Case] = &[
    case!(
        shutdown_during_background_work: BACKGROUND_WORK_IS_AWAITED, Differs(SHUTDOWN),
        "Stops the server while an application works on after its response.",
        "The application goes on until it returns by itself."
    ),
    case!(
        shutdown_during_background_work_over_http2: BACKGROUND_WORK_IS_AWAITED, Differs(SHUTDOWN),
        "Stops the server while an application works on after its response.",
        "The application goes on until it returns by itself."
    ),
    case!(
        shutdown_while_content_is_coming: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server before the request's content is whole.",
        "The content is received, and the response has `connection: close` and is whole."
    ),
    case!(
        shutdown_while_waiting: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server before the response is started.",
        "The response has `connection: close` and is whole."
    ),
    case!(
        shutdown_while_started: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server between the start and the first body event.",
        "The response has `connection: close` and is whole."
    ),
    case!(
        shutdown_while_streaming: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server in the middle of a response.",
        "The response is whole, and then the connection is closed."
    ),
    case!(
        shutdown_while_waiting_over_http2: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server before the response is started.",
        "The response is whole, and GOAWAY has been sent."
    ),
    case!(
        shutdown_while_streaming_over_http2: SHUTDOWN_FINISHES_EXCHANGES, Differs(SHUTDOWN),
        "Stops the server in the middle of a response.",
        "The response is whole, and GOAWAY has been sent."
    ),
];

/// A server, and a connection on which nothing happens: it shows when the server has begun to stop.
async fn launch(bench: &mut Bench<'_>) -> Outcome<(Server, Http1)> {
    let mut server = bench.launch(&Settings::default()).await?;
    server.live().await?;
    let mut idle = server.connect().await?;
    // From the server's side as well: it has been accepted.
    let request = answered(Request::get("/"), "accepted");
    idle.exchange(&request).await?;
    server.call().await?.ended().await?;
    Ok((server, idle))
}

/// Stops the server, and waits until it has begun to.
async fn stop(server: &mut Server, mut idle: Http1) -> Outcome {
    server.stop()?;
    idle.any_rest().await.map(|_| ())
}

async fn shutdown_during_background_work(bench: &mut Bench<'_>) -> Outcome {
    background_work(bench, Over::Http1).await
}

async fn shutdown_during_background_work_over_http2(bench: &mut Bench<'_>) -> Outcome {
    background_work(bench, Over::Http2).await
}

async fn background_work(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    respond(&mut app, "whole").await?;
    exchange.response().await?;
    drop(exchange);
    stop(&mut server, idle).await?;
    app.act(Step::Fence).await?;
    app.begin(Step::Return);
    let end = app.ended().await?;
    must!(end == End::AsTold, "the call ended like this: {end:?}");
    server.exit().await.map(|_| ())
}

async fn shutdown_while_content_is_coming(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(&server, Over::Http1, request, 10).await?;
    exchange.send("first", false).await?;
    let mut app = server.call().await?;
    stop(&mut server, idle).await?;
    exchange.send(" last", true).await?;
    content(&mut app).await?;
    respond(&mut app, "whole").await?;
    app.finish(Step::Return).await?;
    is_last(&mut exchange).await
}

async fn shutdown_while_waiting(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, Over::Http1, &Request::get("/")).await?;
    let mut app = server.call().await?;
    stop(&mut server, idle).await?;
    respond(&mut app, "whole").await?;
    app.finish(Step::Return).await?;
    is_last(&mut exchange).await
}

async fn shutdown_while_started(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, Over::Http1, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    stop(&mut server, idle).await?;
    app.send(HttpResponseBody::last("whole")).await?;
    app.finish(Step::Return).await?;
    is_last(&mut exchange).await
}

/// That the response is the application's and says that it is the last.
async fn is_last(exchange: &mut Exchange) -> Outcome {
    let response = exchange.response().await?;
    let text = response.text();
    must!(text == "whole", "the content is `{text}`");
    let connection = response.field("connection");
    must!(
        response.lists("connection", "close"),
        "`connection` is {connection:?}"
    );
    Ok(())
}

async fn shutdown_while_streaming(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, Over::Http1, &Request::get("/")).await?;
    let app = begin_response(&mut server, &mut exchange).await?;
    stop(&mut server, idle).await?;
    end_response(app, &mut exchange).await?;
    match exchange {
        Exchange::Http1(mut side) => side.is_closed().await,
        Exchange::Http2(_) => Ok(()),
    }
}

async fn begin_response(server: &mut Server, exchange: &mut Exchange) -> Outcome<Remote> {
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("begun")).await?;
    exchange.head().await?;
    exchange.next().await?;
    Ok(app)
}

async fn end_response(mut app: Remote, exchange: &mut Exchange) -> Outcome {
    app.send(HttpResponseBody::last("done")).await?;
    app.finish(Step::Return).await?;
    let (rest, end) = exchange.end().await?;
    must!(
        rest == b"done" && matches!(end, Next::End),
        "the response went on with `{}`, and then the client saw {end}",
        rest.escape_ascii()
    );
    Ok(())
}

async fn shutdown_while_waiting_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, Over::Http2, &Request::get("/")).await?;
    let mut app = server.call().await?;
    stop(&mut server, idle).await?;
    respond(&mut app, "whole").await?;
    app.finish(Step::Return).await?;
    let text = exchange.response().await?.text();
    must!(text == "whole", "the content is `{text}`");
    says_goaway(exchange).await
}

async fn shutdown_while_streaming_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, idle) = launch(bench).await?;
    let mut exchange = Exchange::begin(&server, Over::Http2, &Request::get("/")).await?;
    let app = begin_response(&mut server, &mut exchange).await?;
    stop(&mut server, idle).await?;
    end_response(app, &mut exchange).await?;
    says_goaway(exchange).await
}

async fn says_goaway(exchange: Exchange) -> Outcome {
    let Some(connection) = exchange.into_http2() else {
        return Ok(());
    };
    let farewell = connection.farewell().await?;
    must!(
        farewell.is_go_away() && farewell.is_remote(),
        "the connection ended like this: {farewell}"
    );
    Ok(())
}
