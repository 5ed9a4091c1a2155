//! `lifespan.md`: serving and shutdown.

use callgate::{
    HttpResponseBody, HttpResponseStart, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, ReceiveEvent, SendEvent,
};

use super::lifespan::{FENCES, ends_after, starting};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::launch::Settings;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

pub(super) const CASES: &[Case] = &[
    case!(
        shutdown_waits_for_responses: SHUTDOWN_LAST, Shared,
        "Stops the server in the middle of a response.",
        "`lifespan.shutdown` comes after the response is complete and its call has returned, and \
         once."
    ),
    case!(
        shutdown_waits_for_background_work: SHUTDOWN_LAST,
        Differs("ASGI speaks of connections, not of calls that outlive them"),
        "Stops the server while a call goes on whose response is complete.",
        "`lifespan.shutdown` comes after that call has returned, and once."
    ),
    case!(
        shutdown_fails: SHUTDOWN_FAILED_IS_REPORTED,
        Differs("ASGI names no exit status"),
        "The application answers `lifespan.shutdown` with `lifespan.shutdown.failed`.",
        "The message stands in the log, and the server ends with exit status 1."
    ),
    case!(
        an_error_while_serving: SHUTDOWN_FAILED_IS_REPORTED,
        Differs("ASGI leaves open what becomes of an error between start-up and shutdown"),
        "The lifespan call fails between start-up and shutdown.",
        "The error stands in the log, and the server, once stopped, ends with exit status 1."
    ),
    case!(
        an_early_return: EARLY_RETURN_KEEPS_SERVING,
        Differs("ASGI leaves open what becomes of a lifespan that just ends"),
        "The lifespan call returns after start-up.",
        "The server goes on serving."
    ),
    case!(
        an_answer_without_a_return: STOP_ON_ANSWER,
        Differs("ASGI leaves open whether a server waits for the call to return"),
        "The application answers `lifespan.shutdown` and does not return.",
        "The server ends."
    ),
];

/// A server whose application has completed its start-up, and that has taken notice.
async fn started(bench: &mut Bench<'_>) -> Outcome<(Server, Remote)> {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    lifespan.send(LifespanStartupComplete::new()).await?;
    server.listens().await?;
    server.serves().await?;
    Ok((server, lifespan))
}

/// Receives up to `lifespan.shutdown`.
pub(super) async fn shutdown(lifespan: &mut Remote) -> Outcome {
    while lifespan.receive().await? != ReceiveEvent::LifespanShutdown {}
    Ok(())
}

async fn shutdown_waits_for_responses(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = started(bench).await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::part("the beginning")).await?;
    client.head().await?;
    let receiving = stopping(&mut server, &mut lifespan).await?;
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await?;
    drop(client);
    is_shut_down_once(&mut lifespan, receiving).await
}

async fn shutdown_waits_for_background_work(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = started(bench).await?;
    let mut client = server.connect().await?;
    let request = Request::get("/")
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last("served"));
    client.exchange(&request).await?;
    drop(client);
    let app = server.call().await?;
    let receiving = stopping(&mut server, &mut lifespan).await?;
    app.finish(Step::Return).await?;
    is_shut_down_once(&mut lifespan, receiving).await
}

/// Stops a server that still serves; the receive that must not yield `lifespan.shutdown` yet.
async fn stopping(server: &mut Server, lifespan: &mut Remote) -> Outcome<u64> {
    let mut idle = server.connect().await?;
    let mut receiving = lifespan.begin(Step::Receive);
    while !lifespan.is_pending(receiving).await? {
        lifespan.received(Some(receiving)).await?;
        receiving = lifespan.begin(Step::Receive);
    }
    server.stop()?;
    // Most servers close a connection without a request when they have been told.
    let _ = idle.any_rest().await;
    for _ in 0..FENCES {
        must!(
            lifespan.is_pending(receiving).await?,
            "`lifespan.shutdown` came while a call was running"
        );
    }
    Ok(receiving)
}

/// That a receive yields `lifespan.shutdown`, and no other receive does.
async fn is_shut_down_once(lifespan: &mut Remote, receiving: u64) -> Outcome {
    if lifespan.received(Some(receiving)).await? != ReceiveEvent::LifespanShutdown {
        shutdown(lifespan).await?;
    }
    let again = lifespan.begin(Step::Receive);
    must!(
        lifespan.is_pending(again).await?,
        "after `lifespan.shutdown` came {:?}",
        lifespan.received(Some(again)).await?
    );
    Ok(())
}

async fn shutdown_fails(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = started(bench).await?;
    server.stop()?;
    shutdown(&mut lifespan).await?;
    let message = "the suite cannot save";
    let failed = Step::Send(LifespanShutdownFailed::new(message).into());
    let exit = ends_after(&mut server, &mut lifespan, failed).await?;
    must!(exit.status == Some(1), "it ended with {:?}", exit.status);
    server.reports(message).await
}

async fn an_error_while_serving(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, lifespan) = started(bench).await?;
    let message = "the suite has lost it";
    lifespan.finish(Step::Fail(message.into())).await?;
    server.reports(message).await?;
    server.stop()?;
    let exit = server.exit().await?;
    must!(exit.status == Some(1), "it ended with {:?}", exit.status);
    Ok(())
}

async fn an_early_return(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, lifespan) = started(bench).await?;
    lifespan.finish(Step::Return).await?;
    for _ in 0..2 {
        server.serves().await?;
    }
    Ok(())
}

async fn an_answer_without_a_return(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = started(bench).await?;
    server.stop()?;
    shutdown(&mut lifespan).await?;
    let complete = Step::Send(SendEvent::LifespanShutdownComplete(
        LifespanShutdownComplete::new(),
    ));
    ends_after(&mut server, &mut lifespan, complete)
        .await
        .map(|_| ())
}
