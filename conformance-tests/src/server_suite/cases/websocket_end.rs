//! `websocket.md`: the ways in which a WebSocket ends.

use callgate::{Message, ReceiveEvent, WebSocketAccept, WebSocketClose, WebSocketDisconnect};

use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, must,
};
use crate::server_suite::exchange::Over;
use crate::server_suite::launch::Settings;
use crate::server_suite::websocket::{
    CLOSE, FIN, after_connect, close, disconnected, frame, open, text, websocket_cases,
};

pub(super) const CASES: &[Case] = websocket_cases![
    the_client_closes_with_a_code: DISCONNECT_CODE, Shared,
        "The client closes with a code and a reason.",
        "The application receives `websocket.disconnect` with both.";
    the_client_closes_without_a_code: DISCONNECT_CODE, Shared,
        "The client closes without a code.",
        "The application receives `websocket.disconnect` with 1005.";
    the_client_is_lost: DISCONNECT_CODE, Shared,
        "The client goes away without a close frame, in the middle of a message.",
        "The application receives `websocket.disconnect` with 1006.";
    messages_before_a_close: QUEUED_BEFORE_DISCONNECT,
        Differs("ASGI leaves open what becomes of messages that nobody has received yet"),
        "The client sends messages and closes, before the application receives any of it.",
        "The application receives the messages, and then `websocket.disconnect`.";
    return_after_accept: RETURN_CLOSES_1000,
        Differs("ASGI leaves open how a WebSocket is closed whose call just ends"),
        "The application returns without having closed.",
        "The WebSocket is closed with 1000.";
    failure_after_accept: FAILURE_CLOSES_1011,
        Differs("ASGI leaves open how a WebSocket is closed whose call fails"),
        "The application fails without having closed.",
        "The WebSocket is closed with 1011.";
    panic_after_accept: FAILURE_CLOSES_1011,
        Differs("ASGI leaves open how a WebSocket is closed whose call fails"),
        "The application panics without having closed.",
        "The WebSocket is closed with 1011.";
    broken_rule_after_accept: FAILURE_CLOSES_1011,
        Differs("ASGI leaves open what a server does about an event that is out of turn"),
        "The application accepts a second time.",
        "The WebSocket is closed with 1011 while the application still runs.";
    the_application_closes: CLOSE_CODE_KEPT, Shared,
        "The application closes with a code and a reason.",
        "The client gets both.";
    the_application_closes_and_receives: CLOSE_CODE_KEPT,
        Differs("ASGI leaves open with what an application is told of its own close"),
        "The application closes with a code and a reason, and receives.",
        "It receives `websocket.disconnect` with both.";
    shutdown_of_an_open_websocket: SHUTDOWN_CLOSES_1012,
        Differs("ASGI leaves open how a shutdown closes a WebSocket"),
        "Stops the server while a WebSocket is open.",
        "It is closed with 1012, and the application receives `websocket.disconnect` with that code.";
];

async fn the_client_closes_with_a_code(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    for (code, reason) in [(1001, ""), (4321, "since")] {
        let (mut app, mut client) = open(server, over).await?;
        client.send(close(code, reason)).await?;
        let disconnect = disconnected(&mut app).await?;
        must!(
            disconnect == WebSocketDisconnect::new(code).reason(reason),
            "received {disconnect:?}"
        );
        app.finish(Step::Return).await?;
    }
    Ok(())
}

async fn the_client_closes_without_a_code(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    client.send(frame(FIN | CLOSE, "")).await?;
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect == WebSocketDisconnect::new(1005),
        "received {disconnect:?}"
    );
    app.finish(Step::Return).await
}

async fn the_client_is_lost(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    client.send(&text("message")[..8]).await?;
    client.reset();
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect == WebSocketDisconnect::new(1006),
        "received {disconnect:?}"
    );
    app.finish(Step::Return).await
}

async fn messages_before_a_close(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    let mut octets = Vec::new();
    for n in 0..10 {
        octets.extend(text(&n.to_string()));
    }
    octets.extend(close(1001, ""));
    client.send(octets).await?;
    // The server has read the close, and all before it, when it answers.
    client.closed().await?;
    for n in 0..10 {
        let event = after_connect(&mut app).await?;
        must!(
            event == ReceiveEvent::WebSocketReceive(Message::text(n.to_string())),
            "received {event:?} for the message {n}"
        );
    }
    let end = app.receive().await?;
    must!(
        matches!(end, ReceiveEvent::WebSocketDisconnect(_)),
        "after the messages came {end:?}"
    );
    app.finish(Step::Return).await
}

async fn return_after_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    ends_after_accept(bench, over, Step::Return, 1000).await
}

async fn failure_after_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let end = Step::Fail("a failure of the probe".into());
    ends_after_accept(bench, over, end, 1011).await
}

async fn panic_after_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let end = Step::Panic("a panic of the probe".into());
    ends_after_accept(bench, over, end, 1011).await
}

async fn ends_after_accept(bench: &mut Bench<'_>, over: Over, end: Step, code: u16) -> Outcome {
    let server = bench.server().await?;
    let (app, mut client) = open(server, over).await?;
    app.finish(end).await?;
    client.is_closed_with(code).await
}

async fn broken_rule_after_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, mut client) = open(server, over).await?;
    app.try_send(WebSocketAccept::new()).await?;
    client.is_closed_with(1011).await?;
    app.finish(Step::Return).await
}

async fn the_application_closes(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    for (code, reason) in [(1001, ""), (4000, "enough")] {
        let (mut app, mut client) = open(server, over).await?;
        app.send(WebSocketClose::new(code).reason(reason)).await?;
        let seen = client.closed().await?;
        must!(
            seen == (code, reason.to_owned()),
            "the server closes with {seen:?}"
        );
        app.finish(Step::Return).await?;
    }
    Ok(())
}

async fn the_application_closes_and_receives(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut app, _client) = open(server, over).await?;
    app.send(WebSocketClose::new(4000).reason("enough")).await?;
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect == WebSocketDisconnect::new(4000).reason("enough"),
        "received {disconnect:?}"
    );
    app.finish(Step::Return).await
}

async fn shutdown_of_an_open_websocket(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let mut server = bench.launch(&Settings::default()).await?;
    server.live().await?;
    let (mut app, mut client) = open(&mut server, over).await?;
    server.stop()?;
    client.is_closed_with(1012).await?;
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect.code == 1012,
        "the application received {disconnect:?}"
    );
    app.finish(Step::Return).await
}
