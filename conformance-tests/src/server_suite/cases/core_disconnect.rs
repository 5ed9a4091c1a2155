//! `overview.md`: the client goes away, and the grace period.

use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, Message, SendEvent};

use super::steps::{
    call_over_http1, is_disconnect, open_websocket, receive_disconnect, stream_over_http1,
    stream_over_http2,
};
use crate::Verdict;
use crate::probe::{End, SentOutcome, Step};
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Case, Outcome, case, must};
use crate::server_suite::launch::Settings;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake;

const SENDS: Asgi = Asgi::Differs("In ASGI a send to a client that is gone may do nothing.");
const REPEATS: Asgi =
    Asgi::Differs("ASGI does not say what a receive after the disconnect yields.");
const CANCELS: Asgi =
    Asgi::Differs("ASGI does not say whether a disconnect cancels the application.");
const GRACE: Asgi = Asgi::Differs("ASGI knows no grace period.");
const VIOLATIONS: Asgi = Asgi::Differs("ASGI does not say how an exchange ends that broke a rule.");

pub(super) const CASES: &[Case] = &[
    case!(
        a_send_after_the_client: SEND_AFTER_DISCONNECT, SENDS,
        "Resets the connection before the response, and then has the application send.",
        "The sends fail with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_client_of_a_stream: SEND_AFTER_DISCONNECT, SENDS,
        "Resets the connection while the response is streamed, and has the application go on.",
        "The sends fail with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_client_over_http2: SEND_AFTER_DISCONNECT, SENDS,
        "Resets the stream before the response, and then has the application send.",
        "The sends fail with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_client_of_a_websocket: SEND_AFTER_DISCONNECT, SENDS,
        "Resets the connection of an open WebSocket, and has the application send messages.",
        "The sends fail with `SendError::Disconnected`."
    ),
    case!(
        an_application_outlives_its_client: NO_CANCELLATION, CANCELS,
        "Resets the connection of a GET, a HEAD and a POST while the application is at work.",
        "Its future is not dropped."
    ),
    case!(
        an_application_outlives_its_client_in_a_stream: NO_CANCELLATION, CANCELS,
        "Resets the connection while the response is streamed.",
        "The application's future is not dropped."
    ),
    case!(
        an_application_outlives_its_client_over_http2: NO_CANCELLATION, CANCELS,
        "Resets the stream while the application is at work.",
        "Its future is not dropped."
    ),
    case!(
        an_application_outlives_its_client_of_a_websocket: NO_CANCELLATION, CANCELS,
        "Resets the connection during the handshake, and that of an open WebSocket.",
        "The application's future is not dropped."
    ),
    case!(
        a_receive_after_the_disconnect: DISCONNECT_REPEATS, REPEATS,
        "Resets the connection, and receives three times more after `http.disconnect`.",
        "Each receive yields `http.disconnect` at once."
    ),
    case!(
        a_receive_after_the_response: DISCONNECT_REPEATS, REPEATS,
        "Sends a whole response, and receives three times more after `http.disconnect`.",
        "Each receive yields `http.disconnect` at once."
    ),
    case!(
        a_receive_after_the_disconnect_over_http2: DISCONNECT_REPEATS, REPEATS,
        "Resets the stream, and receives three times more after `http.disconnect`.",
        "Each receive yields `http.disconnect` at once."
    ),
    case!(
        a_receive_after_the_disconnect_of_a_websocket: DISCONNECT_REPEATS, REPEATS,
        "Resets the connection, and receives three times more after `websocket.disconnect`.",
        "Each receive yields `websocket.disconnect` at once."
    ),
    case!(
        the_grace_period_passes: GRACE_PERIOD_ENDS, GRACE,
        "Resets the connection of a GET and a HEAD, with an application that does not end.",
        "Its future is dropped."
    ),
    case!(
        the_grace_period_passes_over_http2: GRACE_PERIOD_ENDS, GRACE,
        "Resets the stream, with an application that does not end.",
        "Its future is dropped."
    ),
    case!(
        the_grace_period_passes_in_a_websocket: GRACE_PERIOD_ENDS, GRACE,
        "Resets the connection of an open WebSocket, with an application that does not end.",
        "Its future is dropped."
    ),
    case!(
        no_grace_period_after_the_response: GRACE_PERIOD_ENDS, GRACE,
        "Resets a connection after the whole response, and then that of an exchange without one; \
         neither application ends.",
        "When the future of the second has been dropped, that of the first has not."
    ),
    case!(
        a_broken_rule_is_a_disconnect: VIOLATION_IS_A_DISCONNECT, VIOLATIONS,
        "Breaks a rule before the response.",
        "The application receives `http.disconnect`."
    ),
    case!(
        a_broken_rule_is_a_disconnect_over_http2: VIOLATION_IS_A_DISCONNECT, VIOLATIONS,
        "Breaks a rule while the response is streamed.",
        "The application receives `http.disconnect`."
    ),
    case!(
        a_broken_rule_is_a_disconnect_of_a_websocket: VIOLATION_IS_A_DISCONNECT, VIOLATIONS,
        "Breaks a rule before the WebSocket is accepted.",
        "The application receives `websocket.disconnect`."
    ),
    case!(
        a_broken_rule_begins_the_grace_period: VIOLATION_IS_A_DISCONNECT, VIOLATIONS,
        "Breaks a rule before the response, in an application that does not end.",
        "Its future is dropped when the grace period has passed."
    ),
];

/// How often a send is tried until the server has seen that the client is gone.
const TRIES: usize = 10;

/// That sends come to `Disconnected` once the server has seen that the client is gone: first that
/// of `first`, then those of `next`.
async fn sends_in_vain(
    server: &mut Server,
    mut app: Remote,
    first: impl Into<SendEvent>,
    next: impl Into<SendEvent>,
) -> Outcome {
    let (mut event, next) = (first.into(), next.into());
    for _ in 0..TRIES {
        server.settle().await?;
        let outcome = app.try_send(event).await?;
        if outcome != SentOutcome::Delivered {
            must!(
                outcome == SentOutcome::Disconnected,
                "a send came to {outcome:?}"
            );
            let outcome = app.try_send(next).await?;
            must!(
                outcome == SentOutcome::Disconnected,
                "a further send came to {outcome:?}"
            );
            return app.finish(Step::Return).await;
        }
        event = next.clone();
    }
    Err(Verdict::failed("sends go on without a client"))
}

async fn a_send_after_the_client(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = call_over_http1(server, &Request::get("/")).await?;
    client.reset();
    let part = HttpResponseBody::part("part");
    sends_in_vain(server, app, HttpResponseStart::ok(), part).await
}

async fn a_send_after_the_client_of_a_stream(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = stream_over_http1(server).await?;
    client.reset();
    let part = HttpResponseBody::part("part");
    sends_in_vain(server, app, part.clone(), part).await
}

async fn a_send_after_the_client_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let app = server.call().await?;
    exchange.reset();
    let part = HttpResponseBody::part("part");
    sends_in_vain(server, app, HttpResponseStart::ok(), part).await
}

async fn a_send_after_the_client_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = open_websocket(server).await?;
    client.reset();
    let message = Message::text("message");
    sends_in_vain(server, app, message.clone(), message).await
}

async fn an_application_outlives_its_client(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for method in ["GET", "HEAD", "POST"] {
        let request = Request::new(method, "/").body("content");
        let (client, mut app) = call_over_http1(server, &request).await?;
        app.receive().await?;
        client.reset();
        goes_on(server, app).await?;
    }
    Ok(())
}

async fn an_application_outlives_its_client_in_a_stream(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = stream_over_http1(server).await?;
    client.reset();
    goes_on(server, app).await
}

async fn an_application_outlives_its_client_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let app = server.call().await?;
    exchange.reset();
    goes_on(server, app).await
}

async fn an_application_outlives_its_client_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = call_over_http1(server, &handshake()).await?;
    client.reset();
    goes_on(server, app).await?;
    let (client, app) = open_websocket(server).await?;
    client.reset();
    goes_on(server, app).await
}

/// That an application runs to its own end.
async fn goes_on(server: &mut Server, mut app: Remote) -> Outcome {
    server.settle().await?;
    must!(app.is_running().await?, "the future was dropped");
    let end = app.end(Step::Return).await?;
    must!(end == End::AsTold, "the future was dropped");
    Ok(())
}

async fn a_receive_after_the_disconnect(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (client, app) = call_over_http1(server, &Request::get("/")).await?;
    client.reset();
    disconnect_repeats(app).await
}

async fn a_receive_after_the_response(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::end()).await?;
    disconnect_repeats(app).await
}

async fn a_receive_after_the_disconnect_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let app = server.call().await?;
    exchange.reset();
    disconnect_repeats(app).await
}

async fn a_receive_after_the_disconnect_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let (client, app) = open_websocket(bench.server().await?).await?;
    client.reset();
    disconnect_repeats(app).await
}

/// That each receive after a disconnect yields it again.
async fn disconnect_repeats(mut app: Remote) -> Outcome {
    if receive_disconnect(&mut app).await.is_err() {
        // Another rule's matter.
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

/// As short as it can be: no more than this is waited for it to pass.
fn short_grace() -> Settings {
    Settings {
        timeout_disconnect: Some(Duration::from_millis(50)),
        ..Settings::default()
    }
}

async fn the_grace_period_passes(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(short_grace()).await?;
    for method in ["GET", "HEAD"] {
        let request = Request::new(method, "/");
        let (client, app) = call_over_http1(server, &request).await?;
        client.reset();
        is_dropped(app).await?;
    }
    Ok(())
}

async fn the_grace_period_passes_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(short_grace()).await?;
    let mut client = server.connect_http2().await?;
    let exchange = client.begin(&Request::get("/"), false).await?;
    let app = server.call().await?;
    exchange.reset();
    is_dropped(app).await
}

async fn the_grace_period_passes_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(short_grace()).await?;
    let (client, app) = open_websocket(server).await?;
    client.reset();
    is_dropped(app).await
}

async fn is_dropped(mut app: Remote) -> Outcome {
    let end = app.ended().await?;
    must!(end == End::Dropped, "the call ended: {end:?}");
    Ok(())
}

async fn no_grace_period_after_the_response(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(short_grace()).await?;
    let (mut client, mut working) = call_over_http1(server, &Request::get("/")).await?;
    working.send(HttpResponseStart::ok()).await?;
    working.send(HttpResponseBody::end()).await?;
    if client.response().await.is_err() || !working.is_running().await? {
        // Another rule's matter.
        return Err(Verdict::NotApplicable(
            "no application is at work after its last event".into(),
        ));
    }
    client.reset();
    server.settle().await?;
    let (client, app) = call_over_http1(server, &Request::get("/")).await?;
    client.reset();
    is_dropped(app).await?;
    must!(
        working.is_running().await?,
        "the future was dropped after the last event"
    );
    working.finish(Step::Return).await
}

async fn a_broken_rule_is_a_disconnect(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.try_send(HttpResponseBody::end()).await?;
    receive_disconnect(&mut app).await?;
    app.finish(Step::Return).await
}

async fn a_broken_rule_is_a_disconnect_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (_client, _exchange, mut app) = stream_over_http2(bench.server().await?).await?;
    app.try_send(HttpResponseStart::ok()).await?;
    receive_disconnect(&mut app).await?;
    app.finish(Step::Return).await
}

async fn a_broken_rule_is_a_disconnect_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &handshake()).await?;
    app.try_send(Message::text("early")).await?;
    receive_disconnect(&mut app).await?;
    app.finish(Step::Return).await
}

async fn a_broken_rule_begins_the_grace_period(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(short_grace()).await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.try_send(HttpResponseBody::end()).await?;
    is_dropped(app).await
}
