//! `lifespan.md`: serving and shutdown.

use callgate::{
    HttpResponseBody, HttpResponseStart, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, ReceiveEvent, rule,
};

use super::http_shutdown::wait_until_stopping;
use super::steps::{FENCES, answered, ends_after, receive_shutdown, starting};
use crate::basis::{Basis, Document::AsgiLifespan, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, steps};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;

pub(super) const CASES: &[&[Case]] = &[
    SHUTDOWN_LAST,
    SHUTDOWN_FAILED_IS_REPORTED,
    EARLY_RETURN_KEEPS_SERVING,
    STOP_ON_ANSWER,
];

const SHUTDOWN_LAST: &[Case] = &[
    Case {
        rule: rule::SHUTDOWN_LAST,
        name: "shutdown_waits_for_responses",
        transports: HTTP1,
        does: "Stops the server in the middle of a response.",
        must: "`lifespan.shutdown` comes after the response is complete and its call has returned, and once.",
        basis: Basis::Standard(&[demands(AsgiLifespan, "Shutdown - receive event")]),
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = start_server(fixture).await?;
            let mut client = server.connect().await?;
            client.send(Request::get("/").http1()).await?;
            let mut app = server.call().await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::part("the beginning")).await?;
            client.head().await?;
            let receiving = stopping(&mut server, &mut lifespan).await?;
            let finishing = async {
                app.send(HttpResponseBody::end()).await?;
                app.finish(Step::Return).await
            };
            client.read_during(finishing).await?;
            drop(client);
            expect_one_shutdown(&mut lifespan, receiving).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_LAST,
        name: "shutdown_waits_for_background_work",
        transports: HTTP1,
        does: "Stops the server while a call goes on whose response is complete.",
        must: "`lifespan.shutdown` comes after that call has returned, and once.",
        basis: Basis::CallgateOnly(
            "ASGI speaks of connections, not of calls that go on after them",
        ),
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = start_server(fixture).await?;
            let mut client = server.connect().await?;
            let request = Request::get("/")
                .sends(HttpResponseStart::ok())
                .sends(HttpResponseBody::last("served"));
            client.exchange(&request).await?;
            drop(client);
            let app = server.call().await?;
            let receiving = stopping(&mut server, &mut lifespan).await?;
            app.finish(Step::Return).await?;
            expect_one_shutdown(&mut lifespan, receiving).await
        }),
    },
];

/// Starts a server whose application has completed its start-up, and waits until it serves.
async fn start_server(fixture: &mut Fixture<'_>) -> CaseResult<(Server, ProbeCall)> {
    let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
    lifespan.receive().await?;
    lifespan.send(LifespanStartupComplete::new()).await?;
    server.wait_until_listening().await?;
    server.expect_served().await?;
    Ok((server, lifespan))
}

/// Stops a server that still serves; the receive that must not yield `lifespan.shutdown` yet.
async fn stopping(server: &mut Server, lifespan: &mut ProbeCall) -> CaseResult<u64> {
    let mut idle = server.connect().await?;
    // From the server's side as well: a server may wait for the first request of a new connection.
    idle.exchange(&answered(Request::get("/"), "served"))
        .await?;
    server.call().await?.ended().await?;
    let mut receiving = lifespan.begin(Step::Receive);
    while !lifespan.is_pending(receiving).await? {
        lifespan.received(Some(receiving)).await?;
        receiving = lifespan.begin(Step::Receive);
    }
    server.stop()?;
    // Most servers close an idle connection when they have been told, some behind one more response.
    let _ = wait_until_stopping(server, idle).await;
    for _ in 0..FENCES {
        must!(
            lifespan.is_pending(receiving).await?,
            "`lifespan.shutdown` came while a call was running"
        );
    }
    Ok(receiving)
}

/// Checks that a receive yields `lifespan.shutdown`, and that the next receive stays pending.
async fn expect_one_shutdown(lifespan: &mut ProbeCall, receiving: u64) -> CaseResult {
    if lifespan.received(Some(receiving)).await? != ReceiveEvent::LifespanShutdown {
        receive_shutdown(lifespan).await?;
    }
    let again = lifespan.begin(Step::Receive);
    must!(
        lifespan.is_pending(again).await?,
        "after `lifespan.shutdown` came {:?}",
        lifespan.received(Some(again)).await?
    );
    Ok(())
}

const SHUTDOWN_FAILED_IS_REPORTED: &[Case] = &[
    Case {
        rule: rule::SHUTDOWN_FAILED_IS_REPORTED,
        name: "shutdown_fails",
        transports: HTTP1,
        does: "The application answers `lifespan.shutdown` with `lifespan.shutdown.failed`.",
        must: "The message stands in the log, and the server ends with exit status 1.",
        basis: Basis::CallgateOnly("ASGI names no exit status"),
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = start_server(fixture).await?;
            server.stop()?;
            receive_shutdown(&mut lifespan).await?;
            let message = "the suite cannot save";
            let failed = Step::Send(LifespanShutdownFailed::new(message).into());
            let exit = ends_after(&mut server, &mut lifespan, failed).await?;
            must!(exit.status == Some(1), "it ended with {:?}", exit.status);
            server.wait_for_log(message).await
        }),
    },
    Case {
        rule: rule::SHUTDOWN_FAILED_IS_REPORTED,
        name: "an_error_while_serving",
        transports: HTTP1,
        does: "The lifespan call fails between start-up and shutdown.",
        must: "The error stands in the log, and the server, once stopped, ends with exit status 1.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of an error between start-up and shutdown",
        ),
        steps: steps!(async |fixture| {
            let (mut server, lifespan) = start_server(fixture).await?;
            let message = "the suite has lost it";
            lifespan.finish(Step::Fail(message.into())).await?;
            server.wait_for_log(message).await?;
            server.stop()?;
            let exit = server.wait_for_exit().await?;
            must!(exit.status == Some(1), "it ended with {:?}", exit.status);
            Ok(())
        }),
    },
];

const EARLY_RETURN_KEEPS_SERVING: &[Case] = &[Case {
    rule: rule::EARLY_RETURN_KEEPS_SERVING,
    name: "an_early_return",
    transports: HTTP1,
    does: "The lifespan call returns after start-up.",
    must: "The server goes on serving.",
    basis: Basis::CallgateOnly("ASGI does not say what becomes of a lifespan call that returns"),
    steps: steps!(async |fixture| {
        let (mut server, lifespan) = start_server(fixture).await?;
        lifespan.finish(Step::Return).await?;
        for _ in 0..2 {
            server.expect_served().await?;
        }
        Ok(())
    }),
}];

const STOP_ON_ANSWER: &[Case] = &[Case {
    rule: rule::STOP_ON_ANSWER,
    name: "an_answer_without_a_return",
    transports: HTTP1,
    does: "The application answers `lifespan.shutdown` and does not return.",
    must: "The server ends.",
    basis: Basis::CallgateOnly("ASGI does not say whether a server waits for the call to return"),
    steps: steps!(async |fixture| {
        let (mut server, mut lifespan) = start_server(fixture).await?;
        server.stop()?;
        receive_shutdown(&mut lifespan).await?;
        let complete = Step::Send(LifespanShutdownComplete::new().into());
        ends_after(&mut server, &mut lifespan, complete)
            .await
            .map(|_| ())
    }),
}];
