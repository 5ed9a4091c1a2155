//! `lifespan.md`: start-up.

use callgate::{HttpResponseStart, LifespanStartupComplete, LifespanStartupFailed, ReceiveEvent};

use super::lifespan_shutdown::shutdown;
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
];

/// A server that has called the application for its lifespan and has not been answered.
pub(super) async fn starting(
    bench: &mut Bench<'_>,
    settings: &Settings,
) -> Outcome<(Server, Remote)> {
    let mut server = bench.launch(settings).await?;
    let lifespan = server.lifespan().await?;
    Ok((server, lifespan))
}

/// Has the application do something after which the server may be gone before it has told of it.
pub(super) async fn ends_after(
    server: &mut Server,
    lifespan: &mut Remote,
    last: Step,
) -> Outcome<Exit> {
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
pub(super) const FENCES: usize = 50;

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
    // It may also listen before it ends.
    let served = match server.listens().await {
        Ok(()) => state_of_a_request(&mut server).await,
        not_started => not_started.map(|()| Vec::new()),
    };
    let Ok(seen) = served else {
        // Another rule's matter.
        let why = "it does not serve an application without lifespan";
        return Err(Verdict::NotApplicable(why.into()));
    };
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
