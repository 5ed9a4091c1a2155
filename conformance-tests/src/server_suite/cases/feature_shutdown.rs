//! `features.md`: `http.shutdown`.

use callgate::{Feature, HttpResponseBody, HttpResponseStart, ReceiveEvent, Scope, rule};

use super::http_shutdown::{launch, stop};
use super::steps::{FENCES, call_over, content, events};
use crate::Verdict;
use crate::basis::Basis;
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;

pub(super) const CASES: &[&[Case]] = &[SHUTDOWN_IS_TOLD, SHUTDOWN_ONCE, SHUTDOWN_IS_NO_DISCONNECT];

const BASIS: Basis = Basis::CallgateOnly("ASGI has no event for a shutdown");

const SHUTDOWN_IS_TOLD: &[Case] = &[
    Case {
        rule: rule::SHUTDOWN_IS_TOLD,
        name: "shutdown_while_the_application_receives",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server while the application receives, before it has sent anything.",
        must: "The application receives `http.shutdown`.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let (_client, mut app) = offering_call(transport, &mut server).await?;
            content(&mut app).await?;
            let receiving = app.begin(Step::Receive);
            stop(&mut server, idle).await?;
            let event = app.received(Some(receiving)).await?;
            must!(event == ReceiveEvent::HttpShutdown, "received {event:?}");
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_IS_TOLD,
        name: "shutdown_before_the_application_receives",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server, and then has the application receive the request and once more.",
        must: "The application receives `http.request`, and then `http.shutdown`.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let (_client, mut app) = offering_call(transport, &mut server).await?;
            stop(&mut server, idle).await?;
            content(&mut app).await?;
            let event = app.receive().await?;
            must!(event == ReceiveEvent::HttpShutdown, "received {event:?}");
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_IS_TOLD,
        name: "shutdown_of_a_streamed_response",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server while the application streams its response and receives.",
        must: "The application receives `http.shutdown`.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let (mut exchange, mut app, receiving) = streaming_call(transport, &mut server).await?;
            exchange.head().await?;
            stop(&mut server, idle).await?;
            let event = app.received(Some(receiving)).await?;
            must!(event == ReceiveEvent::HttpShutdown, "received {event:?}");
            app.finish(Step::Return).await
        }),
    },
];

const SHUTDOWN_ONCE: &[Case] = &[
    Case {
        rule: rule::SHUTDOWN_ONCE,
        name: "shutdown_comes_once",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server, has the application receive up to `http.shutdown` and once more, and then \
               resets the connection, or over HTTP/2 the stream.",
        must: "The last receive yields `http.disconnect`.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let (exchange, mut app) = offering_call(transport, &mut server).await?;
            content(&mut app).await?;
            let receiving = app.begin(Step::Receive);
            stop(&mut server, idle).await?;
            skip_unless_shutdown_is_delivered(&mut app, receiving).await?;
            let receiving = app.begin(Step::Receive);
            give_time(&mut app, receiving).await?;
            let _connection = exchange.reset();
            let event = app.received(Some(receiving)).await?;
            must!(event == ReceiveEvent::HttpDisconnect, "received {event:?}");
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_ONCE,
        name: "shutdown_comes_after_the_content",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server while the application receives content, and then sends the rest of it.",
        must: "The application receives the rest, and no `http.shutdown` before it.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let request = Request::new("POST", "/");
            let mut exchange =
                ClientExchange::begin_content(&server, transport, request, 10).await?;
            exchange.send("first", false).await?;
            let mut app = expect_offer(server.call().await?).await?;
            let receiving = app.begin(Step::ReceiveBody);
            stop(&mut server, idle).await?;
            exchange.send(" last", true).await?;
            let events = events(&mut app, receiving).await?;
            must!(
                matches!(events.last(), Some(ReceiveEvent::HttpRequestBody(_))),
                "received {:?} before the rest of the content",
                events.last()
            );
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_ONCE,
        name: "no_shutdown_where_it_is_not_offered",
        transports: HTTP1_AND_HTTP2,
        does: "Stops the server while an application receives whose scope does not offer `http.shutdown`, \
               and then resets the connection, or over HTTP/2 the stream.",
        must: "The application receives `http.disconnect`.",
        basis: BASIS,
        steps: steps!(async |fixture, transport| {
            let (mut server, idle) = launch(fixture).await?;
            let (exchange, mut app) = call_over(transport, &mut server, &Request::get("/")).await?;
            if offers_shutdown(&app) {
                app.finish(Step::Decline).await?;
                return Err(Verdict::NotApplicable(
                    "the server offers `http.shutdown` on each exchange".into(),
                ));
            }
            content(&mut app).await?;
            let receiving = app.begin(Step::Receive);
            stop(&mut server, idle).await?;
            give_time(&mut app, receiving).await?;
            let _connection = exchange.reset();
            let event = app.received(Some(receiving)).await?;
            must!(event == ReceiveEvent::HttpDisconnect, "received {event:?}");
            app.finish(Step::Return).await
        }),
    },
];

const SHUTDOWN_IS_NO_DISCONNECT: &[Case] = &[Case {
    rule: rule::SHUTDOWN_IS_NO_DISCONNECT,
    name: "sends_after_the_shutdown",
    transports: HTTP1_AND_HTTP2,
    does: "Has the application go on with a streamed response after `http.shutdown`.",
    must: "The sends succeed, and the client receives the whole response.",
    basis: BASIS,
    steps: steps!(async |fixture, transport| {
        let (mut server, idle) = launch(fixture).await?;
        let (mut exchange, mut app, receiving) = streaming_call(transport, &mut server).await?;
        stop(&mut server, idle).await?;
        skip_unless_shutdown_is_delivered(&mut app, receiving).await?;
        app.send(HttpResponseBody::part("one, ")).await?;
        app.send(HttpResponseBody::last("two")).await?;
        let response = exchange.response().await?;
        must!(
            response.text() == "begun, one, two",
            "the content is `{}`",
            response.text()
        );
        app.finish(Step::Return).await
    }),
}];

fn offers_shutdown(app: &ProbeCall) -> bool {
    matches!(app.scope(), Scope::Http(scope) if scope.features.contains(Feature::Shutdown))
}

/// Has the application called for a GET whose scope offers `http.shutdown`. The case is not applicable
/// otherwise.
async fn offering_call(
    transport: Transport,
    server: &mut Server,
) -> CaseResult<(ClientExchange, ProbeCall)> {
    let (exchange, app) = call_over(transport, server, &Request::get("/")).await?;
    Ok((exchange, expect_offer(app).await?))
}

async fn expect_offer(app: ProbeCall) -> CaseResult<ProbeCall> {
    if offers_shutdown(&app) {
        return Ok(app);
    }
    app.finish(Step::Decline).await?;
    Err(Verdict::NotApplicable(
        "the server does not offer `http.shutdown`".into(),
    ))
}

/// Waits for `http.shutdown`. The case is not applicable where it does not come: another rule is about
/// that.
async fn skip_unless_shutdown_is_delivered(app: &mut ProbeCall, receiving: u64) -> CaseResult {
    match app.received(Some(receiving)).await {
        Ok(ReceiveEvent::HttpShutdown) => Ok(()),
        _ => Err(Verdict::NotApplicable(
            "the application received no `http.shutdown`".into(),
        )),
    }
}

/// Has the application stream a response, and receive after the request. Returns the step of the
/// receive.
async fn streaming_call(
    transport: Transport,
    server: &mut Server,
) -> CaseResult<(ClientExchange, ProbeCall, u64)> {
    let (exchange, mut app) = offering_call(transport, server).await?;
    content(&mut app).await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("begun, ")).await?;
    let receiving = app.begin(Step::Receive);
    Ok((exchange, app, receiving))
}

/// Gives the server time to yield an event that it must not yield.
async fn give_time(app: &mut ProbeCall, receiving: u64) -> CaseResult {
    for _ in 0..FENCES {
        if !app.is_pending(receiving).await? {
            break;
        }
    }
    Ok(())
}
