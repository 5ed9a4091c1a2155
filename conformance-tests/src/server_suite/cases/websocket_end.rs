//! `websocket.md`: the ways in which a WebSocket ends.

use callgate::{Message, ReceiveEvent, WebSocketAccept, WebSocketClose, WebSocketDisconnect, rule};

use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands, recommends,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::{
    CLOSE, FIN, after_connect, close, disconnected, expect_disconnect_code, frame, open, text,
};

pub(super) const CASES: &[&[Case]] = &[
    DISCONNECT_CODE,
    QUEUED_BEFORE_DISCONNECT,
    RETURN_CLOSES_1000,
    FAILURE_CLOSES_1011,
    CLOSE_CODE_KEPT,
    SHUTDOWN_CLOSES_1012,
];

const DISCONNECT_CODE: &[Case] = &[
    Case {
        rule: rule::DISCONNECT_CODE,
        name: "the_client_closes_with_a_code",
        transports: HTTP1_AND_HTTP2,
        does: "The client closes with a code.",
        must: "The application receives `websocket.disconnect` with the code.",
        basis: Basis::Standard(&[
            demands(AsgiHttp, "WebSocket: Disconnect - receive event"),
            demands(Rfc(6455), "7.1.5"),
        ]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            for code in [1001, 4321] {
                let (mut app, mut client) = open(server, transport).await?;
                client.send(close(code, "")).await?;
                let disconnect = expect_disconnect_code(&mut app, code);
                client.read_during(disconnect).await?;
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::DISCONNECT_CODE,
        name: "the_client_closes_with_a_reason",
        transports: HTTP1_AND_HTTP2,
        does: "The client closes with a code and a reason.",
        must: "The application receives `websocket.disconnect` with the reason.",
        basis: Basis::CallgateOnly("In ASGI the reason of a disconnect is optional"),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            client.send(close(4321, "since")).await?;
            let disconnect = client.read_during(disconnected(&mut app)).await?;
            must!(disconnect.reason == "since", "received {disconnect:?}");
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_CODE,
        name: "the_client_closes_without_a_code",
        transports: HTTP1_AND_HTTP2,
        does: "The client closes without a code.",
        must: "The application receives `websocket.disconnect` with 1005.",
        basis: Basis::Standard(&[
            recommends(AsgiHttp, "WebSocket: Disconnect - receive event"),
            demands(Rfc(6455), "7.1.5"),
        ]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            client.send(frame(FIN | CLOSE, "")).await?;
            let disconnect = expect_disconnect_code(&mut app, 1005);
            client.read_during(disconnect).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::DISCONNECT_CODE,
        name: "the_client_is_lost",
        transports: HTTP1_AND_HTTP2,
        does: "Resets the connection, or over HTTP/2 the stream, in the middle of a message.",
        must: "The application receives `websocket.disconnect` with 1006.",
        basis: Basis::CallgateOnly(
            "RFC 6455, 7.1.5 has 1006, but ASGI recommends 1005 where no code came from the client",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            client.send(&text("message")[..8]).await?;
            client.reset();
            expect_disconnect_code(&mut app, 1006).await?;
            app.finish(Step::Return).await
        }),
    },
];

const QUEUED_BEFORE_DISCONNECT: &[Case] = &[Case {
    rule: rule::QUEUED_BEFORE_DISCONNECT,
    name: "messages_before_a_close",
    transports: HTTP1_AND_HTTP2,
    does: "The client sends messages and closes, before the application receives any of it.",
    must: "The application receives the messages, and then `websocket.disconnect`.",
    basis: Basis::CallgateOnly(
        "ASGI does not say what becomes of messages that were not received before the disconnect",
    ),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let (mut app, mut client) = open(server, transport).await?;
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
    }),
}];

const RETURN_CLOSES_1000: &[Case] = &[Case {
    rule: rule::RETURN_CLOSES_1000,
    name: "return_after_accept",
    transports: HTTP1_AND_HTTP2,
    does: "The application returns without having closed.",
    must: "The WebSocket is closed with 1000.",
    basis: Basis::CallgateOnly(
        "ASGI does not say with which code a WebSocket is closed whose call returns",
    ),
    steps: steps!(async |fixture, transport| {
        ends_after_accept(fixture, transport, Step::Return, 1000).await
    }),
}];

async fn ends_after_accept(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    end: Step,
    code: u16,
) -> CaseResult {
    let server = fixture.server().await?;
    let (app, mut client) = open(server, transport).await?;
    app.finish(end).await?;
    client.expect_close_code(code).await
}

const FAILURE_CLOSES_1011_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", has the connection terminated, and names no code",
);

const FAILURE_CLOSES_1011: &[Case] = &[
    Case {
        rule: rule::FAILURE_CLOSES_1011,
        name: "failure_after_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application fails without having closed.",
        must: "The WebSocket is closed with 1011.",
        basis: FAILURE_CLOSES_1011_BASIS,
        steps: steps!(async |fixture, transport| {
            let end = Step::Fail("a failure of the probe".into());
            ends_after_accept(fixture, transport, end, 1011).await
        }),
    },
    Case {
        rule: rule::FAILURE_CLOSES_1011,
        name: "panic_after_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application panics without having closed.",
        must: "The WebSocket is closed with 1011.",
        basis: FAILURE_CLOSES_1011_BASIS,
        steps: steps!(async |fixture, transport| {
            let end = Step::Panic("a panic of the probe".into());
            ends_after_accept(fixture, transport, end, 1011).await
        }),
    },
    Case {
        rule: rule::FAILURE_CLOSES_1011,
        name: "broken_rule_after_accept",
        transports: HTTP1_AND_HTTP2,
        does: "The application accepts a second time.",
        must: "The WebSocket is closed with 1011 while the application still runs.",
        basis: Basis::CallgateOnly(
            "ASGI does not say what becomes of an event that is out of order",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            app.try_send(WebSocketAccept::new()).await?;
            client.expect_close_code(1011).await?;
            app.finish(Step::Return).await
        }),
    },
];

const CLOSE_CODE_KEPT: &[Case] = &[
    Case {
        rule: rule::CLOSE_CODE_KEPT,
        name: "the_application_closes",
        transports: HTTP1_AND_HTTP2,
        does: "The application closes with a code.",
        must: "The client receives a close frame with the code.",
        basis: Basis::Standard(&[demands(AsgiHttp, "WebSocket: Close - send event")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            for code in [1001, 4000] {
                let (mut app, mut client) = open(server, transport).await?;
                // The send may wait for the close frame of the client.
                let sending = app.begin(Step::Send(WebSocketClose::new(code).into()));
                client.expect_close_code(code).await?;
                client.send(close(code, "")).await?;
                client.read_during(app.sent(Some(sending))).await?;
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::CLOSE_CODE_KEPT,
        name: "the_application_closes_with_a_reason",
        transports: HTTP1_AND_HTTP2,
        does: "The application closes with a code and a reason.",
        must: "The client receives a close frame with both.",
        basis: Basis::CallgateOnly(
            "ASGI demands that the code reaches the client, and does not speak of the reason",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, mut client) = open(server, transport).await?;
            app.send(WebSocketClose::new(4000).reason("enough")).await?;
            let seen = client.closed().await?;
            must!(
                seen == (4000, "enough".to_owned()),
                "the server closes with {seen:?}"
            );
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::CLOSE_CODE_KEPT,
        name: "the_application_closes_and_receives",
        transports: HTTP1_AND_HTTP2,
        does: "The application closes with a code and a reason, and receives.",
        must: "The application receives `websocket.disconnect` with both.",
        basis: Basis::CallgateOnly(
            "ASGI does not say which code the application receives after its own close",
        ),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut app, _client) = open(server, transport).await?;
            app.send(WebSocketClose::new(4000).reason("enough")).await?;
            let disconnect = disconnected(&mut app).await?;
            must!(
                disconnect == WebSocketDisconnect::new(4000).reason("enough"),
                "received {disconnect:?}"
            );
            app.finish(Step::Return).await
        }),
    },
];

const SHUTDOWN_CLOSES_1012: &[Case] = &[Case {
    rule: rule::SHUTDOWN_CLOSES_1012,
    name: "shutdown_of_an_open_websocket",
    transports: HTTP1_AND_HTTP2,
    does: "Stops the server while a WebSocket is open.",
    must: "It is closed with 1012, and the application receives `websocket.disconnect` with that code.",
    basis: Basis::CallgateOnly("ASGI does not say with which code a shutdown closes a WebSocket"),
    steps: steps!(async |fixture, transport| {
        let mut server = fixture.launch(&ServerSettings::default()).await?;
        server.run_lifespan().await?;
        let (mut app, mut client) = open(&mut server, transport).await?;
        server.stop()?;
        client.expect_close_code(1012).await?;
        expect_disconnect_code(&mut app, 1012).await?;
        app.finish(Step::Return).await
    }),
}];
