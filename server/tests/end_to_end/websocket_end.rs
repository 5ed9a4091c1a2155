//! Every way in which a WebSocket that is open ends.

use std::time::Duration;

use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, handshake, open,
};
use crate::support::websocket::{disconnect_code, echo, echo_server, pinging};
use crate::support::{Gate, OnDrop, Server, config, tell, websocket};
use callgate::{AppError, Message, ReceiveEvent, WebSocketAccept, WebSocketClose};

#[tokio::test]
async fn ws_11_and_12_a_close_that_may_not_be_sent_is_a_1011() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, scope, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        let close = match &scope.raw_path()[1..] {
            "long" => WebSocketClose::new(1000).reason("x".repeat(124)),
            code => WebSocketClose::new(code.parse().unwrap()),
        };
        let error = sender.send(close).await.unwrap_err();
        teller.tell(error.rule().unwrap().id);
        Err(error.into())
    }));
    for (target, rule) in [
        ("/1005", "WS-11"),
        ("/1006", "WS-11"),
        ("/999", "WS-11"),
        ("/5000", "WS-11"),
        ("/long", "WS-12"),
    ] {
        let mut client = open(&server, target).await;
        assert_eq!(told.next().await, rule);
        client.closed_with(1011).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_ping_that_is_not_answered_closes_with_1011() {
    let (teller, mut told) = tell();
    let configured = pinging(Duration::from_millis(20), Duration::from_millis(20));
    let server = Server::with(configured, websocket(teller, echo));
    let mut client = open(&server, "/").await;
    assert_eq!(client.frame().await, (FIN | PING, Vec::new()));
    client.closed_with(1011).await;
    assert_eq!(told.next().await.0, 1011);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_ping_that_is_answered_keeps_the_websocket() {
    let (teller, mut told) = tell();
    let configured = pinging(Duration::from_millis(20), Duration::from_secs(20));
    let server = Server::with(configured, websocket(teller, echo));
    let mut client = open(&server, "/").await;
    for _ in 0..3 {
        // The next ping comes only after the answer to the one before.
        let (first, payload) = client.frame().await;
        assert_eq!(first, FIN | PING);
        client.send(frame(FIN | PONG, payload)).await;
    }
    client.send(close(1000, "")).await;
    assert_eq!(told.next().await.0, 1000);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_17_18_and_19_bad_input_closes_with_its_code() {
    let mut unmasked = frame(FIN | TEXT, "");
    unmasked[1] = 0;
    unmasked.truncate(2);
    let cases: &[(&str, Vec<u8>, u16)] = &[
        ("too big", frame(FIN | BINARY, [0; 1001]), 1009),
        (
            "too big in parts",
            [frame(BINARY, [0; 600]), frame(CONTINUATION, [0; 600])].concat(),
            1009,
        ),
        (
            "a length of nonsense",
            [vec![0x82, 0xff], vec![0x7f; 8], vec![0; 4]].concat(),
            1009,
        ),
        ("not UTF-8", frame(FIN | TEXT, [0xff]), 1007),
        ("half a character", frame(FIN | TEXT, [0xe2, 0x82]), 1007),
        (
            "not UTF-8 in parts",
            [frame(TEXT, "x"), frame(FIN | CONTINUATION, [0x80])].concat(),
            1007,
        ),
        ("a reserved bit", frame(0x40 | FIN | TEXT, "x"), 1002),
        ("a reserved opcode", frame(FIN | 3, "x"), 1002),
        ("no mask", unmasked, 1002),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUATION, "x"),
            1002,
        ),
        (
            "a message within a message",
            [frame(TEXT, "x"), frame(TEXT, "x")].concat(),
            1002,
        ),
        ("a ping in parts", frame(PING, "x"), 1002),
        ("a long ping", frame(FIN | PING, [0; 126]), 1002),
        ("a close of one byte", frame(FIN | CLOSE, "x"), 1002),
        ("a close with a reserved code", close(1005, ""), 1002),
    ];
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.websocket.max_size = 1000;
    let server = Server::with(configured, websocket(teller, echo));
    for (name, bytes, code) in cases {
        let mut client = open(&server, "/").await;
        client.send(frame(FIN | TEXT, "before")).await;
        client.send(bytes).await;
        assert_eq!(client.message().await, "before");
        assert_eq!(client.close_frame().await.0, *code, "{name}");
        assert_eq!(told.next().await.0, *code, "{name}");
        client.rest().await;
        // At the limit is not beyond it.
        let mut client = open(&server, "/").await;
        client.send(frame(FIN | BINARY, [0; 1000])).await;
        assert_eq!(client.frame().await.1.len(), 1000);
        client.send(close(1000, "")).await;
        assert_eq!(told.next().await.0, 1000);
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_20_the_clients_close_is_answered_and_told() {
    let (server, mut told) = echo_server();
    for (bytes, expected) in [
        (close(1000, ""), (1000, "")),
        (close(4321, "since"), (4321, "since")),
        (frame(FIN | CLOSE, ""), (1005, "")),
    ] {
        let mut client = open(&server, "/").await;
        client.send(&bytes).await;
        let (code, reason) = told.next().await;
        assert_eq!((code, reason.as_str()), expected);
        let (first, payload) = client.frame().await;
        assert_eq!(first, FIN | CLOSE);
        if code != 1005 {
            assert_eq!(payload[..2], code.to_be_bytes());
        }
        assert_eq!(client.rest().await, "");
    }
    for abort in [true, false] {
        let mut client = open(&server, "/").await;
        if abort {
            client.send(&frame(FIN | TEXT, "part")[..3]).await;
        }
        drop(client);
        assert_eq!(told.next().await.0, 1006);
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_21_messages_before_a_disconnect_are_not_lost() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(websocket(
        (teller, gate.clone()),
        async |(teller, gate), _, mut receiver, sender| {
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            gate.passed().await;
            for _ in 0..12 {
                teller.tell(receiver.receive().await);
            }
            Ok(())
        },
    ));
    let mut client = open(&server, "/").await;
    for n in 0..10 {
        client.send(frame(FIN | TEXT, n.to_string())).await;
    }
    client.send(close(1001, "")).await;
    assert_eq!(client.close_frame().await.0, 1001);
    gate.open();
    for n in 0..10 {
        let message = ReceiveEvent::WebSocketReceive(Message::text(n.to_string()));
        assert_eq!(told.next().await, message);
    }
    // CORE-12: and the disconnect again and again.
    for _ in 0..2 {
        let ReceiveEvent::WebSocketDisconnect(end) = told.next().await else {
            panic!("no disconnect");
        };
        assert_eq!(end.code, 1001);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_22_and_23_the_end_of_the_call_closes() {
    let server = Server::start(websocket((), async |(), scope, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        sender.send(Message::text("last words")).await?;
        match scope.raw_path() {
            "/returns" => Ok(()),
            "/fails" => Err(AppError::failed("secret")),
            "/declines" => Err(AppError::Unsupported),
            "/accepts-again" => Ok(sender.send(WebSocketAccept::new()).await?),
            _ => panic!("secret"),
        }
    }));
    for (target, code) in [
        ("/returns", 1000),
        ("/fails", 1011),
        ("/declines", 1011),
        ("/accepts-again", 1011),
        ("/panics", 1011),
    ] {
        let mut client = open(&server, target).await;
        assert_eq!(client.message().await, "last words", "{target}");
        client.closed_with(code).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_24_and_10_the_applications_close_is_kept_and_final() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(
        teller,
        async |teller, _, mut receiver, sender| {
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            let close = WebSocketClose::new(4000).reason("enough");
            sender.send(close.clone()).await?;
            teller.tell(format!("{:?}", receiver.receive().await));
            let error = sender.send(Message::text("late")).await.unwrap_err();
            teller.tell(error.rule().unwrap().id.to_owned());
            Ok(())
        },
    ));
    let mut client = open(&server, "/").await;
    assert_eq!(client.close_frame().await, (4000, "enough".to_owned()));
    let told_end = told.next().await;
    assert!(
        told_end.contains("4000") && told_end.contains("enough"),
        "{told_end}"
    );
    assert_eq!(told.next().await, "WS-10");
    client.send(close(4000, "")).await;
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_26_shutdown_closes_with_1012() {
    let (mut server, mut told) = echo_server();
    let mut client = open(&server, "/").await;
    client.send(frame(FIN | TEXT, "open")).await;
    assert_eq!(client.message().await, "open");
    server.stop();
    client.closed_with(1012).await;
    assert_eq!(told.next().await.0, 1012);
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn core_14_the_grace_period_holds_for_a_websocket() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.disconnect = Duration::from_millis(50);
    configured.timeouts.half_close = Duration::from_millis(20);
    let server = Server::with(
        configured,
        websocket(teller, async |teller, scope, mut receiver, sender| {
            let _dropped = OnDrop::tell(&teller, 1);
            receiver.receive().await;
            if scope.raw_path() == "/open" {
                sender.send(WebSocketAccept::new()).await?;
            }
            teller.tell(0);
            teller.tell(disconnect_code(&mut receiver).await);
            std::future::pending::<()>().await;
            Ok(())
        }),
    );
    for target in ["/connecting", "/open"] {
        let mut client = server.connect().await;
        client.send(handshake(target, "")).await;
        assert_eq!(told.next().await, 0);
        drop(client);
        assert_eq!(told.next().await, 1006);
        assert_eq!(told.next().await, 1);
    }
    server.finish().await;
}
