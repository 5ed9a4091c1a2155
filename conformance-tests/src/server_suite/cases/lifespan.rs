//! `lifespan.md`: start-up and shutdown.

use callgate::{
    HttpResponseBody, HttpResponseStart, LifespanShutdownFailed, LifespanStartupComplete,
    LifespanStartupFailed, ReceiveEvent, SendEvent,
};

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::http1::Http1;
use crate::server_suite::launch::{Exit, Lifespan, Settings};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;

pub(super) const CASES: &[Case] = &[
    case!(
        lifespan_comes_first_and_once: LIFESPAN_ONCE, Shared,
        "Starts a server, has it serve a request, and stops it.",
        "The application is called for lifespan before the request, and never again."
    ),
    case!(
        lifespan_is_off: LIFESPAN_ONCE,
        Differs("ASGI has no setting for it"),
        "Starts a server that is set not to run lifespan.",
        "It serves, and the application is not called for lifespan."
    ),
    case!(
        startup_comes_first: STARTUP_FIRST, Shared,
        "The application receives, completes its start-up, and receives again.",
        "It receives `lifespan.startup`; the second receive stays pending, and yields \
         `lifespan.shutdown` when the server is stopped."
    ),
    case!(
        a_connection_during_startup: STARTUP_BEFORE_ACCEPT, Shared,
        "Connects, if the server lets one, and sends requests before start-up is complete: one that \
         the server would answer itself, and one for the application.",
        "Nothing is answered and the application is not called before it has completed its start-up."
    ),
    case!(
        startup_fails: STARTUP_FAILED_STOPS,
        Differs("ASGI names no exit status"),
        "The application answers `lifespan.startup` with `lifespan.startup.failed`.",
        "The message stands in the log, and the server ends with exit status 3, having called the \
         application for nothing else."
    ),
    case!(
        an_error_at_startup: STARTUP_ERROR_STOPS,
        Differs("ASGI takes an error for an application without lifespan"),
        "The application fails before it has answered `lifespan.startup`.",
        "The server ends with exit status 3, having called the application for nothing else."
    ),
    case!(
        a_return_at_startup: STARTUP_ERROR_STOPS,
        Differs("ASGI leaves open what becomes of a lifespan that just ends"),
        "The application returns before it has answered `lifespan.startup`.",
        "The server ends with exit status 3, having called the application for nothing else."
    ),
    case!(
        a_panic_at_startup: STARTUP_ERROR_STOPS,
        Differs("ASGI takes an error for an application without lifespan"),
        "The application panics before it has answered `lifespan.startup`.",
        "The server ends with exit status 3, having called the application for nothing else."
    ),
    case!(
        a_broken_rule_at_startup: STARTUP_ERROR_STOPS,
        Differs("ASGI leaves open what a server does about an event that is out of turn"),
        "The application answers `lifespan.startup` with `http.response.start`.",
        "The server ends with exit status 3, having called the application for nothing else."
    ),
    case!(
        an_application_without_lifespan: DECLINED_LIFESPAN, Shared,
        "The application declines lifespan.",
        "The server serves all the same."
    ),
    case!(
        an_application_without_the_lifespan_required: DECLINED_LIFESPAN,
        Differs("ASGI has no setting for it"),
        "The application declines lifespan, which the server is set to require.",
        "The server ends, having called the application for nothing else."
    ),
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
        a_signal_during_startup: SIGNAL_DURING_STARTUP,
        Differs("ASGI leaves open when a server can be stopped"),
        "Stops the server before start-up is complete, with a request waiting.",
        "The server ends, having called the application for nothing but lifespan."
    ),
    case!(
        state_put_in_after_startup: STATE_REACHES_SCOPES,
        Differs("ASGI hands state over in the scope of lifespan"),
        "The application puts one thing into its state before it completes start-up and another \
         after.",
        "The scope of a request has only the first."
    ),
    case!(
        state_without_lifespan: STATE_REACHES_SCOPES,
        Differs("ASGI hands state over in the scope of lifespan"),
        "The application puts something into its state and declines lifespan.",
        "The scope of a request has no state."
    ),
    case!(
        an_answer_without_a_return: STOP_ON_ANSWER,
        Differs("ASGI leaves open whether a server waits for the call to return"),
        "The application answers `lifespan.shutdown` and does not return.",
        "The server ends."
    ),
];

/// A server that has called the application for its lifespan and has not been answered.
async fn starting(bench: &mut Bench<'_>, settings: &Settings) -> Outcome<(Server, Remote)> {
    let mut server = bench.launch(settings).await?;
    let lifespan = server.lifespan().await?;
    Ok((server, lifespan))
}

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
async fn shutdown(lifespan: &mut Remote) -> Outcome {
    while lifespan.receive().await? != ReceiveEvent::LifespanShutdown {}
    Ok(())
}

/// Has the application do something after which the server may be gone before it has told of it.
async fn ends_after(server: &mut Server, lifespan: &mut Remote, last: Step) -> Outcome<Exit> {
    lifespan.begin(last);
    server.exit().await
}

/// Has a request wait for a server that is starting, if that lets anyone connect already.
async fn waiting(server: &Server) -> Outcome<Option<Http1>> {
    let Ok(mut client) = server.connect().await else {
        return Ok(None);
    };
    client.send(Request::get("/").http1()).await?;
    Ok(Some(client))
}

async fn lifespan_comes_first_and_once(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    must!(
        lifespan.number() == 0,
        "before it came {} other calls",
        lifespan.number()
    );
    lifespan.receive().await?;
    lifespan.send(LifespanStartupComplete::new()).await?;
    server.listens().await?;
    server.serves().await?;
    server.has_no_lifespan()?;
    server.stop()?;
    shutdown(&mut lifespan).await?;
    server.has_no_lifespan()
}

async fn lifespan_is_off(bench: &mut Bench<'_>) -> Outcome {
    let settings = Settings {
        lifespan: Lifespan::Off,
        ..Settings::default()
    };
    let mut server = bench.launch(&settings).await?;
    server.listens().await?;
    server.serves().await?;
    server.has_no_lifespan()
}

async fn startup_comes_first(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    let first = lifespan.receive().await?;
    must!(
        first == ReceiveEvent::LifespanStartup,
        "first came {first:?}"
    );
    lifespan.send(LifespanStartupComplete::new()).await?;
    let next = lifespan.begin(Step::Receive);
    server.listens().await?;
    server.serves().await?;
    server.stop()?;
    let event = lifespan.received(Some(next)).await?;
    must!(
        event == ReceiveEvent::LifespanShutdown,
        "after start-up came {event:?}"
    );
    Ok(())
}

async fn a_connection_during_startup(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    let request = waiting(&server).await?;
    let mut rejected = server.connect().await.ok();
    if let Some(client) = &mut rejected {
        // There is no `host`.
        client.send("GET / HTTP/1.1\r\n\r\n").await?;
    }
    // Time for the server to do what it must not.
    for _ in 0..FENCES {
        lifespan.act(Step::Fence).await?;
    }
    for client in [request, rejected].iter_mut().flatten() {
        let answer = client.unread_now();
        must!(
            answer.is_empty(),
            "before start-up was complete came `{}`",
            answer.escape_ascii()
        );
    }
    server.has_no_call()?;
    lifespan.send(LifespanStartupComplete::new()).await
}

/// How often the application says that it has done nothing, which takes it a way through its
/// server's event loop each time.
const FENCES: usize = 50;

async fn startup_fails(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    let _client = waiting(&server).await?;
    let message = "the suite has no database";
    let failed = Step::Send(LifespanStartupFailed::new(message).into());
    let exit = ends_after(&mut server, &mut lifespan, failed).await?;
    must!(exit.status == Some(3), "it ended with {:?}", exit.status);
    server.reports(message).await?;
    lifespan.is_gone().await?;
    server.has_no_call()
}

async fn an_error_at_startup(bench: &mut Bench<'_>) -> Outcome {
    stops_after(bench, Step::Fail("the suite has no settings".into())).await
}

async fn a_return_at_startup(bench: &mut Bench<'_>) -> Outcome {
    stops_after(bench, Step::Return).await
}

async fn a_panic_at_startup(bench: &mut Bench<'_>) -> Outcome {
    stops_after(bench, Step::Panic("a panic of the probe".into())).await
}

async fn a_broken_rule_at_startup(bench: &mut Bench<'_>) -> Outcome {
    stops_after(bench, Step::Send(HttpResponseStart::ok().into())).await
}

async fn stops_after(bench: &mut Bench<'_>, last: Step) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    let _client = waiting(&server).await?;
    let exit = ends_after(&mut server, &mut lifespan, last).await?;
    must!(exit.status == Some(3), "it ended with {:?}", exit.status);
    lifespan.is_gone().await?;
    server.has_no_call()
}

async fn an_application_without_lifespan(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.finish(Step::Decline).await?;
    server.listens().await?;
    server.serves().await
}

async fn an_application_without_the_lifespan_required(bench: &mut Bench<'_>) -> Outcome {
    let settings = Settings {
        lifespan: Lifespan::On,
        ..Settings::default()
    };
    let (mut server, mut lifespan) = starting(bench, &settings).await?;
    let _client = waiting(&server).await?;
    ends_after(&mut server, &mut lifespan, Step::Decline).await?;
    lifespan.is_gone().await?;
    server.has_no_call()
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

async fn a_signal_during_startup(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    let _client = waiting(&server).await?;
    server.stop()?;
    server.exit().await?;
    lifespan.is_gone().await?;
    server.has_no_call()
}

async fn state_put_in_after_startup(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.receive().await?;
    lifespan.act(Step::PutState("before".into())).await?;
    lifespan.send(LifespanStartupComplete::new()).await?;
    lifespan.act(Step::PutState("after".into())).await?;
    server.listens().await?;
    let seen = state_of_a_request(&mut server).await?;
    must!(
        !seen.iter().any(|text| text != "before"),
        "the state of a request has {seen:?}"
    );
    Ok(())
}

async fn state_without_lifespan(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = starting(bench, &Settings::default()).await?;
    lifespan.act(Step::PutState("declined".into())).await?;
    lifespan.finish(Step::Decline).await?;
    if server.listens().await.is_err() {
        // Another rule's matter.
        let why = "it does not serve an application without lifespan";
        return Err(Verdict::NotApplicable(why.into()));
    }
    let seen = state_of_a_request(&mut server).await?;
    must!(seen.is_empty(), "the state of a request has {seen:?}");
    Ok(())
}

async fn state_of_a_request(server: &mut Server) -> Outcome<Vec<String>> {
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    let seen = app.act(Step::TellState).await?;
    app.finish(Step::Return).await?;
    Ok(seen)
}

async fn an_answer_without_a_return(bench: &mut Bench<'_>) -> Outcome {
    let (mut server, mut lifespan) = started(bench).await?;
    server.stop()?;
    shutdown(&mut lifespan).await?;
    let complete = Step::Send(SendEvent::LifespanShutdownComplete);
    ends_after(&mut server, &mut lifespan, complete)
        .await
        .map(|_| ())
}
