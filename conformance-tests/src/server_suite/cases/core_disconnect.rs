//! `overview.md`: the client goes away, and the grace period.

use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, Message, SendEvent, rule};

use super::steps::{
    call_over, call_over_http1, is_disconnect, open_websocket, receive_disconnect,
    stream_over_http1, stream_over_http2,
};
use crate::Verdict;
use crate::basis::Basis;
use crate::probe::{ProbeCallEnd, SendOutcome, Step};
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::handshake;

pub(super) const CASES: &[&[Case]] = &[
    SEND_AFTER_DISCONNECT,
    NO_CANCELLATION,
    DISCONNECT_REPEATS,
    GRACE_PERIOD_ENDS,
    VIOLATION_IS_A_DISCONNECT,
];

const SEND_AFTER_DISCONNECT_BASIS: Basis = Basis::CallgateOnly(
    "ASGI recommends and does not guarantee that a send to a disconnected client fails",
);

const SEND_AFTER_DISCONNECT: &[Case] = &[
    Case {
        rule: rule::SEND_AFTER_DISCONNECT,
        name: "a_send_after_the_client",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, before the response, and then has the application send.",
        must: "The sends fail with `SendError::Disconnected`.",
        basis: SEND_AFTER_DISCONNECT_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (exchange, app) = call_over(transport, server, &Request::get("/")).await?;
            let _connection = exchange.reset();
            let part = HttpResponseBody::part("part");
            expect_sends_to_fail(server, app, HttpResponseStart::ok(), part).await
        }),
    },
    Case {
        rule: rule::SEND_AFTER_DISCONNECT,
        name: "a_send_after_the_client_of_a_stream",
        transports: HTTP1,
        does: "Resets the connection while the response is streamed, and has the application go on.",
        must: "The sends fail with `SendError::Disconnected`.",
        basis: SEND_AFTER_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (client, app) = stream_over_http1(server).await?;
            client.reset();
            let part = HttpResponseBody::part("part");
            expect_sends_to_fail(server, app, part.clone(), part).await
        }),
    },
    Case {
        rule: rule::SEND_AFTER_DISCONNECT,
        name: "a_send_after_the_client_of_a_websocket",
        transports: HTTP1,
        does: "Resets the connection of an open WebSocket, and has the application send messages.",
        must: "The sends fail with `SendError::Disconnected`.",
        basis: SEND_AFTER_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (client, app) = open_websocket(server).await?;
            client.reset();
            let message = Message::text("message");
            expect_sends_to_fail(server, app, message.clone(), message).await
        }),
    },
];

/// The number of sends that are tried until the server has noticed the disconnect.
const TRIES: usize = 10;

/// Checks that sends fail with `Disconnected` once the server has noticed the disconnect: first the
/// send of `first`, then those of `next`.
async fn expect_sends_to_fail(
    server: &mut Server,
    mut app: ProbeCall,
    first: impl Into<SendEvent>,
    next: impl Into<SendEvent>,
) -> CaseResult {
    let (mut event, next) = (first.into(), next.into());
    for _ in 0..TRIES {
        server.settle().await?;
        let outcome = app.try_send(event).await?;
        if outcome != SendOutcome::Delivered {
            must!(
                outcome == SendOutcome::Disconnected,
                "a send resulted in {outcome:?}"
            );
            let outcome = app.try_send(next).await?;
            must!(
                outcome == SendOutcome::Disconnected,
                "a further send resulted in {outcome:?}"
            );
            return app.finish(Step::Return).await;
        }
        event = next.clone();
    }
    Err(Verdict::failed(
        "sends to a disconnected client do not fail",
    ))
}

const NO_CANCELLATION_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say whether a disconnect cancels the application");

const NO_CANCELLATION: &[Case] = &[
    Case {
        rule: rule::NO_CANCELLATION,
        name: "an_application_outlives_its_client",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, of a GET, a HEAD and a POST while the application is at work.",
        must: "The application's future is not dropped.",
        basis: NO_CANCELLATION_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            for method in ["GET", "HEAD", "POST"] {
                let request = Request::new(method, "/").body("content");
                let (exchange, mut app) = call_over(transport, server, &request).await?;
                app.receive().await?;
                let _connection = exchange.reset();
                expect_to_go_on(server, app).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::NO_CANCELLATION,
        name: "an_application_outlives_its_client_in_a_stream",
        transports: HTTP1,
        does: "Resets the connection while the response is streamed.",
        must: "The application's future is not dropped.",
        basis: NO_CANCELLATION_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (client, app) = stream_over_http1(server).await?;
            client.reset();
            expect_to_go_on(server, app).await
        }),
    },
    Case {
        rule: rule::NO_CANCELLATION,
        name: "an_application_outlives_its_client_of_a_websocket",
        transports: HTTP1,
        does: "Resets the connection during the handshake, and that of an open WebSocket.",
        must: "The application's future is not dropped.",
        basis: NO_CANCELLATION_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (client, app) = call_over_http1(server, &handshake()).await?;
            client.reset();
            expect_to_go_on(server, app).await?;
            let (client, app) = open_websocket(server).await?;
            client.reset();
            expect_to_go_on(server, app).await
        }),
    },
];

/// Checks that the application runs to its own end.
async fn expect_to_go_on(server: &mut Server, mut app: ProbeCall) -> CaseResult {
    server.settle().await?;
    must!(app.is_running().await?, "the future was dropped");
    let end = app.end(Step::Return).await?;
    must!(end == ProbeCallEnd::AsCommanded, "the future was dropped");
    Ok(())
}

const DISCONNECT_REPEATS_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say whether the disconnect comes more than once");

const DISCONNECT_REPEATS: &[Case] = &[
    Case {
        rule: rule::DISCONNECT_REPEATS,
        name: "a_receive_after_the_disconnect",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, and receives three times more after `http.disconnect`.",
        must: "Each receive yields `http.disconnect` at once.",
        basis: DISCONNECT_REPEATS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (exchange, app) = call_over(transport, server, &Request::get("/")).await?;
            let _connection = exchange.reset();
            expect_repeated_disconnect(app).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_REPEATS,
        name: "a_receive_after_the_response",
        transports: HTTP1,
        does: "Sends a whole response, and receives three times more after `http.disconnect`.",
        must: "Each receive yields `http.disconnect` at once.",
        basis: DISCONNECT_REPEATS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::end()).await?;
            expect_repeated_disconnect(app).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_REPEATS,
        name: "a_receive_after_the_disconnect_of_a_websocket",
        transports: HTTP1,
        does: "Resets the connection, and receives three times more after `websocket.disconnect`.",
        must: "Each receive yields `websocket.disconnect` at once.",
        basis: DISCONNECT_REPEATS_BASIS,
        steps: steps!(async |fixture| {
            let (client, app) = open_websocket(fixture.server().await?).await?;
            client.reset();
            expect_repeated_disconnect(app).await
        }),
    },
];

/// Checks that each receive after a disconnect yields the disconnect again.
async fn expect_repeated_disconnect(mut app: ProbeCall) -> CaseResult {
    if receive_disconnect(&mut app).await.is_err() {
        // Another rule is about that.
        return Err(Verdict::NotApplicable(
            "there was no disconnect that could be repeated".into(),
        ));
    }
    for _ in 0..3 {
        let step = app.begin(Step::Receive);
        must!(!app.is_pending(step).await?, "a receive is pending");
        let event = app.received(Some(step)).await?;
        must!(is_disconnect(&event), "received {event:?}");
    }
    app.finish(Step::Return).await
}

const GRACE_PERIOD_ENDS_BASIS: Basis = Basis::CallgateOnly("ASGI has no grace period");

const GRACE_PERIOD_ENDS: &[Case] = &[
    Case {
        rule: rule::GRACE_PERIOD_ENDS,
        name: "the_grace_period_passes",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, of a GET and a HEAD, with an application that does not end.",
        must: "The application's future is dropped.",
        basis: GRACE_PERIOD_ENDS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server_with(short_grace_period()).await?;
            for method in ["GET", "HEAD"] {
                let request = Request::new(method, "/");
                let (exchange, app) = call_over(transport, server, &request).await?;
                let _connection = exchange.reset();
                expect_dropped(app).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::GRACE_PERIOD_ENDS,
        name: "the_grace_period_passes_in_a_websocket",
        transports: HTTP1,
        does: "Resets the connection of an open WebSocket, with an application that does not end.",
        must: "Its future is dropped.",
        basis: GRACE_PERIOD_ENDS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server_with(short_grace_period()).await?;
            let (client, app) = open_websocket(server).await?;
            client.reset();
            expect_dropped(app).await
        }),
    },
    Case {
        rule: rule::GRACE_PERIOD_ENDS,
        name: "no_grace_period_after_the_response",
        transports: HTTP1,
        does: "Resets a connection after the whole response, and then that of an exchange without one; neither application ends.",
        must: "When the future of the second has been dropped, that of the first has not.",
        basis: GRACE_PERIOD_ENDS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server_with(short_grace_period()).await?;
            let (mut client, mut working) = call_over_http1(server, &Request::get("/")).await?;
            working.send(HttpResponseStart::ok()).await?;
            working.send(HttpResponseBody::end()).await?;
            if client.response().await.is_err() || !working.is_running().await? {
                // Another rule is about that.
                return Err(Verdict::NotApplicable(
                    "no application is at work after its last event".into(),
                ));
            }
            client.reset();
            server.settle().await?;
            let (client, app) = call_over_http1(server, &Request::get("/")).await?;
            client.reset();
            expect_dropped(app).await?;
            must!(
                working.is_running().await?,
                "the future was dropped after the last event"
            );
            working.finish(Step::Return).await
        }),
    },
];

/// Returns settings with a grace period as short as possible, since the cases wait for its end.
fn short_grace_period() -> ServerSettings {
    ServerSettings {
        timeout_disconnect: Some(Duration::from_millis(50)),
        ..ServerSettings::default()
    }
}

async fn expect_dropped(mut app: ProbeCall) -> CaseResult {
    let end = app.ended().await?;
    must!(end == ProbeCallEnd::Dropped, "the call ended: {end:?}");
    Ok(())
}

const VIOLATION_IS_A_DISCONNECT_BASIS: Basis = Basis::CallgateOnly(
    "ASGI does not say how an exchange ends whose application sent out of order",
);

const VIOLATION_IS_A_DISCONNECT: &[Case] = &[
    Case {
        rule: rule::VIOLATION_IS_A_DISCONNECT,
        name: "a_broken_rule_is_a_disconnect",
        transports: HTTP1,
        does: "Breaks a rule before the response.",
        must: "The application receives `http.disconnect`.",
        basis: VIOLATION_IS_A_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.try_send(HttpResponseBody::end()).await?;
            receive_disconnect(&mut app).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_A_DISCONNECT,
        name: "a_broken_rule_is_a_disconnect",
        transports: HTTP2,
        does: "Breaks a rule while the response is streamed.",
        must: "The application receives `http.disconnect`.",
        basis: VIOLATION_IS_A_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let (_client, _exchange, mut app) = stream_over_http2(fixture.server().await?).await?;
            app.try_send(HttpResponseStart::ok()).await?;
            receive_disconnect(&mut app).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_A_DISCONNECT,
        name: "a_broken_rule_is_a_disconnect_of_a_websocket",
        transports: HTTP1,
        does: "Breaks a rule before the WebSocket is accepted.",
        must: "The application receives `websocket.disconnect`.",
        basis: VIOLATION_IS_A_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &handshake()).await?;
            app.try_send(Message::text("early")).await?;
            receive_disconnect(&mut app).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_A_DISCONNECT,
        name: "a_broken_rule_begins_the_grace_period",
        transports: HTTP1,
        does: "Breaks a rule before the response, in an application that does not end.",
        must: "Its future is dropped when the grace period has passed.",
        basis: VIOLATION_IS_A_DISCONNECT_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server_with(short_grace_period()).await?;
            let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.try_send(HttpResponseBody::end()).await?;
            expect_dropped(app).await
        }),
    },
];
