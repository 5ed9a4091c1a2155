//! `lifespan.md`: start-up.

use std::time::Duration;

use callgate::{
    HttpResponseStart, LifespanStartupComplete, LifespanStartupFailed, ReceiveEvent, rule,
};
use tokio::time::timeout;

use super::steps::{FENCES, ends_after, receive_shutdown, starting};
use crate::Verdict;
use crate::basis::{Basis, Document::AsgiLifespan, demands, recommends};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, steps};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::http1::Http1;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::{LifespanMode, ServerSettings};

pub(super) const CASES: &[&[Case]] = &[
    LIFESPAN_ONCE,
    STARTUP_FIRST,
    STARTUP_BEFORE_ACCEPT,
    STARTUP_FAILED_STOPS,
    STARTUP_ERROR_STOPS,
    DECLINED_LIFESPAN,
    SIGNAL_DURING_STARTUP,
    STATE_REACHES_SCOPES,
];

const LIFESPAN_ONCE: &[Case] = &[
    Case {
        rule: rule::LIFESPAN_ONCE,
        name: "lifespan_comes_first_and_once",
        transports: HTTP1,
        does: "Starts a server, has it serve a request, and stops it.",
        must: "The application is called for lifespan before the request, and never again.",
        basis: Basis::Standard(&[
            recommends(AsgiLifespan, "Lifespan Protocol"),
            demands(AsgiLifespan, "Startup Complete - send event"),
        ]),
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
            must!(
                lifespan.number() == 0,
                "before it came {} other calls",
                lifespan.number()
            );
            lifespan.receive().await?;
            lifespan.send(LifespanStartupComplete::new()).await?;
            server.wait_until_listening().await?;
            server.expect_served().await?;
            server.expect_no_lifespan_call()?;
            server.stop()?;
            receive_shutdown(&mut lifespan).await?;
            server.expect_no_lifespan_call()
        }),
    },
    Case {
        rule: rule::LIFESPAN_ONCE,
        name: "lifespan_is_off",
        transports: HTTP1,
        does: "Starts a server that is set not to run lifespan.",
        must: "It serves, and the application is not called for lifespan.",
        basis: Basis::CallgateOnly("ASGI has no setting of lifespan"),
        steps: steps!(async |fixture| {
            let settings = ServerSettings {
                lifespan: LifespanMode::Off,
                ..ServerSettings::default()
            };
            let mut server = fixture.launch(&settings).await?;
            server.wait_until_listening().await?;
            server.expect_served().await?;
            server.expect_no_lifespan_call()
        }),
    },
];

const STARTUP_FIRST: &[Case] = &[Case {
    rule: rule::STARTUP_FIRST,
    name: "startup_comes_first",
    transports: HTTP1,
    does: "The application receives, completes its start-up, and receives again.",
    must: "It receives `lifespan.startup`; the second receive stays pending, and yields `lifespan.shutdown` when the server is stopped.",
    basis: Basis::Standard(&[
        demands(AsgiLifespan, "Startup - receive event"),
        demands(AsgiLifespan, "Shutdown - receive event"),
    ]),
    steps: steps!(async |fixture| {
        let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
        let first = lifespan.receive().await?;
        must!(
            first == ReceiveEvent::LifespanStartup,
            "first came {first:?}"
        );
        lifespan.send(LifespanStartupComplete::new()).await?;
        let next = lifespan.begin(Step::Receive);
        server.wait_until_listening().await?;
        server.expect_served().await?;
        server.stop()?;
        let event = lifespan.received(Some(next)).await?;
        must!(
            event == ReceiveEvent::LifespanShutdown,
            "after start-up came {event:?}"
        );
        Ok(())
    }),
}];

const STARTUP_BEFORE_ACCEPT: &[Case] = &[Case {
    rule: rule::STARTUP_BEFORE_ACCEPT,
    name: "a_connection_during_startup",
    transports: HTTP1,
    does: "Connects, if the server accepts connections, and sends two requests before start-up is complete: one without `host`, which the server would answer itself, and one for the application.",
    must: "Nothing is answered and the application is not called before it has completed its start-up.",
    basis: Basis::Standard(&[demands(AsgiLifespan, "Startup Complete - send event")]),
    steps: steps!(async |fixture| {
        let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
        lifespan.receive().await?;
        let request = waiting(&server).await?;
        let mut rejected = connect_early(&server).await;
        if let Some(client) = &mut rejected {
            // There is no `host`.
            client.send("GET / HTTP/1.1\r\n\r\n").await?;
        }
        // Time in which a server that breaks the rule would do so.
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
        server.expect_no_unclaimed_call()?;
        lifespan.send(LifespanStartupComplete::new()).await
    }),
}];

/// The time for a connection to a server that is starting. Over TLS, a server that keeps the rules lets it pass.
const EARLY_CONNECTION: Duration = Duration::from_millis(300);

/// Opens a connection to a server that is starting, if the server accepts connections and makes handshakes.
async fn connect_early(server: &Server) -> Option<Http1> {
    let connected = timeout(EARLY_CONNECTION, server.connect()).await;
    connected.ok()?.ok()
}

/// Has a request wait for a server that is starting, if the server lets clients connect.
async fn waiting(server: &Server) -> CaseResult<Option<Http1>> {
    let Some(mut client) = connect_early(server).await else {
        return Ok(None);
    };
    client.send(Request::get("/").http1()).await?;
    Ok(Some(client))
}

const STARTUP_FAILED_STOPS: &[Case] = &[Case {
    rule: rule::STARTUP_FAILED_STOPS,
    name: "startup_fails",
    transports: HTTP1,
    does: "The application answers `lifespan.startup` with `lifespan.startup.failed`.",
    must: "The message stands in the log, and the server ends with exit status 3, having called the application for nothing else.",
    basis: Basis::CallgateOnly("ASGI names no exit status"),
    steps: steps!(async |fixture| {
        let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
        lifespan.receive().await?;
        let _client = waiting(&server).await?;
        let message = "the suite has no database";
        let failed = Step::Send(LifespanStartupFailed::new(message).into());
        let exit = ends_after(&mut server, &mut lifespan, failed).await?;
        must!(exit.status == Some(3), "it ended with {:?}", exit.status);
        server.wait_for_log(message).await?;
        lifespan.wait_for_process_end().await?;
        server.expect_no_unclaimed_call()
    }),
}];

const STARTUP_ERROR_STOPS_BASIS: Basis =
    Basis::CallgateOnly("In ASGI an error means that the application has no lifespan");

const STARTUP_ERROR_STOPS: &[Case] = &[
    Case {
        rule: rule::STARTUP_ERROR_STOPS,
        name: "an_error_at_startup",
        transports: HTTP1,
        does: "The application fails before it has answered `lifespan.startup`.",
        must: "The server ends with exit status 3, having called the application for nothing else.",
        basis: STARTUP_ERROR_STOPS_BASIS,
        steps: steps!(async |fixture| {
            stops_after(fixture, Step::Fail("the suite has no settings".into())).await
        }),
    },
    Case {
        rule: rule::STARTUP_ERROR_STOPS,
        name: "a_return_at_startup",
        transports: HTTP1,
        does: "The application returns before it has answered `lifespan.startup`.",
        must: "The server ends with exit status 3, having called the application for nothing else.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of a lifespan call that returns",
        ),
        steps: steps!(async |fixture| { stops_after(fixture, Step::Return).await }),
    },
    Case {
        rule: rule::STARTUP_ERROR_STOPS,
        name: "a_panic_at_startup",
        transports: HTTP1,
        does: "The application panics before it has answered `lifespan.startup`.",
        must: "The server ends with exit status 3, having called the application for nothing else.",
        basis: STARTUP_ERROR_STOPS_BASIS,
        steps: steps!(async |fixture| {
            stops_after(fixture, Step::Panic("a panic of the probe".into())).await
        }),
    },
    Case {
        rule: rule::STARTUP_ERROR_STOPS,
        name: "a_broken_rule_at_startup",
        transports: HTTP1,
        does: "The application answers `lifespan.startup` with `http.response.start`.",
        must: "The server ends with exit status 3, having called the application for nothing else.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of an event that is out of order",
        ),
        steps: steps!(async |fixture| {
            stops_after(fixture, Step::Send(HttpResponseStart::ok().into())).await
        }),
    },
];

async fn stops_after(fixture: &mut Fixture<'_>, last: Step) -> CaseResult {
    let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
    lifespan.receive().await?;
    let _client = waiting(&server).await?;
    let exit = ends_after(&mut server, &mut lifespan, last).await?;
    must!(exit.status == Some(3), "it ended with {:?}", exit.status);
    lifespan.wait_for_process_end().await?;
    server.expect_no_unclaimed_call()
}

const DECLINED_LIFESPAN: &[Case] = &[
    Case {
        rule: rule::DECLINED_LIFESPAN,
        name: "an_application_without_lifespan",
        transports: HTTP1,
        does: "The application declines lifespan.",
        must: "The server serves all the same.",
        basis: Basis::Standard(&[demands(AsgiLifespan, "Scope")]),
        steps: steps!(async |fixture| {
            let (mut server, lifespan) = starting(fixture, &ServerSettings::default()).await?;
            lifespan.finish(Step::Decline).await?;
            server.wait_until_listening().await?;
            server.expect_served().await
        }),
    },
    Case {
        rule: rule::DECLINED_LIFESPAN,
        name: "an_application_without_the_lifespan_required",
        transports: HTTP1,
        does: "The application declines lifespan, which the server is set to require.",
        must: "The server ends, having called the application for nothing else.",
        basis: Basis::CallgateOnly("ASGI has no setting of lifespan"),
        steps: steps!(async |fixture| {
            let settings = ServerSettings {
                lifespan: LifespanMode::On,
                ..ServerSettings::default()
            };
            let (mut server, mut lifespan) = starting(fixture, &settings).await?;
            let _client = waiting(&server).await?;
            ends_after(&mut server, &mut lifespan, Step::Decline).await?;
            lifespan.wait_for_process_end().await?;
            server.expect_no_unclaimed_call()
        }),
    },
];

const SIGNAL_DURING_STARTUP: &[Case] = &[Case {
    rule: rule::SIGNAL_DURING_STARTUP,
    name: "a_signal_during_startup",
    transports: HTTP1,
    does: "Stops the server before start-up is complete, with a request waiting.",
    must: "The server ends, having called the application for nothing but lifespan.",
    basis: Basis::CallgateOnly("ASGI does not say when a server can be stopped"),
    steps: steps!(async |fixture| {
        let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
        lifespan.receive().await?;
        let _client = waiting(&server).await?;
        server.stop()?;
        server.wait_for_exit().await?;
        lifespan.wait_for_process_end().await?;
        server.expect_no_unclaimed_call()
    }),
}];

const STATE_REACHES_SCOPES_BASIS: Basis = Basis::CallgateOnly(
    "In ASGI the application writes its state into the scope of lifespan, and state is optional",
);

const STATE_REACHES_SCOPES: &[Case] = &[
    Case {
        rule: rule::STATE_REACHES_SCOPES,
        name: "state_put_in_after_startup",
        transports: HTTP1,
        does: "The application puts one thing into its state before it completes start-up and another after.",
        must: "The scope of a request has only the first.",
        basis: STATE_REACHES_SCOPES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
            lifespan.receive().await?;
            lifespan.act(Step::PutState("before".into())).await?;
            lifespan.send(LifespanStartupComplete::new()).await?;
            lifespan.act(Step::PutState("after".into())).await?;
            server.wait_until_listening().await?;
            let seen = state_of_a_request(&mut server).await?;
            must!(
                !seen.iter().any(|text| text != "before"),
                "the state of a request has {seen:?}"
            );
            Ok(())
        }),
    },
    Case {
        rule: rule::STATE_REACHES_SCOPES,
        name: "state_without_lifespan",
        transports: HTTP1,
        does: "The application puts something into its state and declines lifespan.",
        must: "The scope of a request has no state.",
        basis: STATE_REACHES_SCOPES_BASIS,
        steps: steps!(async |fixture| {
            let (mut server, mut lifespan) = starting(fixture, &ServerSettings::default()).await?;
            lifespan.act(Step::PutState("declined".into())).await?;
            lifespan.finish(Step::Decline).await?;
            // It may also listen before it ends.
            let served = match server.wait_until_listening().await {
                Ok(()) => state_of_a_request(&mut server).await,
                not_started => not_started.map(|()| Vec::new()),
            };
            let Ok(seen) = served else {
                // Another rule is about that.
                let why = "it does not serve an application without lifespan";
                return Err(Verdict::NotApplicable(why.into()));
            };
            must!(seen.is_empty(), "the state of a request has {seen:?}");
            Ok(())
        }),
    },
];

async fn state_of_a_request(server: &mut Server) -> CaseResult<Vec<String>> {
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    let seen = app.act(Step::TellState).await?;
    app.finish(Step::Return).await?;
    Ok(seen)
}
