//! WebSockets over HTTP/1.1 once they are open: messages, and every way to end.

use std::time::Duration;

use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, handshake, open,
};
use crate::support::websocket::{disconnect_code, echo, echo_server};
use crate::support::{Gate, OnDrop, Server, config, tell, websocket, within};
use callgate::{AppError, Message, ReceiveEvent, WebSocketAccept, WebSocketClose};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite;

#[tokio::test]
async fn ws_01_connect_comes_first_and_once() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(
        teller,
        async |teller, _, mut receiver, sender| {
            teller.tell(receiver.receive().await);
            sender.send(WebSocketAccept::new()).await?;
            teller.tell(receiver.receive().await);
            Ok(())
        },
    ));
    let mut client = open(&server, "/").await;
    client.send(frame(FIN | TEXT, "first")).await;
    assert_eq!(told.next().await, ReceiveEvent::WebSocketConnect);
    let message = ReceiveEvent::WebSocketReceive(Message::text("first"));
    assert_eq!(told.next().await, message);
    client.closed_with(1000).await;
    server.finish().await;
}

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
async fn ws_13_messages_keep_their_type_and_order_both_ways() {
    let (server, mut told) = echo_server();
    let stream = within(tokio::net::TcpStream::connect(server.address))
        .await
        .unwrap();
    let url = format!("ws://{}/", server.address);
    let (mut client, _) = within(tokio_tungstenite::client_async(url, stream))
        .await
        .unwrap();
    let mut messages = Vec::new();
    for n in 0..40_usize {
        messages.push(tungstenite::Message::text("é".repeat(n * n)));
        messages.push(tungstenite::Message::binary(vec![0xff; n * 997]));
    }
    for message in &messages {
        within(client.feed(message.clone())).await.unwrap();
        within(client.flush()).await.unwrap();
        assert_eq!(&within(client.next()).await.unwrap().unwrap(), message);
    }
    within(client.close(None)).await.unwrap();
    assert_eq!(told.next().await.0, 1005);
    server.finish().await;
}

#[tokio::test]
async fn ws_14_fragments_are_one_message() {
    let (server, _told) = echo_server();
    let mut client = open(&server, "/").await;
    let euro = "€".as_bytes();
    client.send(frame(TEXT, &euro[..1])).await;
    // A ping may stand between fragments, and a character may be torn apart.
    client.send(frame(FIN | PING, "between")).await;
    client.send(frame(CONTINUATION, &euro[1..])).await;
    assert_eq!(client.frame().await, (FIN | PONG, b"between".to_vec()));
    client.send(frame(FIN | CONTINUATION, "")).await;
    assert_eq!(client.message().await, "€");
    client.send(frame(BINARY, "a")).await;
    client.send(frame(FIN | CONTINUATION, "b")).await;
    assert_eq!(client.frame().await, (FIN | BINARY, b"ab".to_vec()));
    client.send(frame(FIN | TEXT, "")).await;
    assert_eq!(client.message().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_15_pings_are_answered_and_not_shown() {
    let (server, _told) = echo_server();
    let mut client = open(&server, "/").await;
    for payload in ["", "payload"] {
        client.send(frame(FIN | PING, payload)).await;
        assert_eq!(client.frame().await, (FIN | PONG, payload.into()));
    }
    client.send(frame(FIN | PONG, "unasked")).await;
    client.send(frame(FIN | TEXT, "message")).await;
    assert_eq!(client.message().await, "message");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_ping_that_is_not_answered_closes_with_1011() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.ws_ping_interval = Some(Duration::from_millis(20));
    configured.ws_ping_timeout = Some(Duration::from_millis(20));
    let server = Server::with(configured, websocket(teller, echo));
    let mut client = open(&server, "/").await;
    assert_eq!(client.frame().await, (FIN | PING, Vec::new()));
    client.closed_with(1011).await;
    assert_eq!(told.next().await.0, 1011);
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_ping_that_is_answered_keeps_the_websocket() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.ws_ping_interval = Some(Duration::from_millis(20));
    configured.ws_ping_timeout = Some(Duration::from_secs(20));
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
    configured.ws_max_size = 1000;
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
    server.finish().await;
}

#[tokio::test]
async fn ws_25_messages_that_are_not_received_hold_the_client_back() {
    const BOUND: usize = 64 << 20;
    let gate = Gate::new();
    let server = Server::start(websocket(
        gate.clone(),
        async |gate: Gate, _, mut receiver, sender| {
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            gate.passed().await;
            let mut received = 0;
            while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
                received += 1;
                if message == Message::text("end") {
                    sender.send(Message::text(received.to_string())).await?;
                }
            }
            Ok(())
        },
    ));
    let mut client = open(&server, "/").await;
    let message = frame(FIN | BINARY, vec![0; 64 << 10]);
    let (mut sent, mut messages, mut rest) = (0, 0, 0);
    // A pause that is taken too early for the end only makes less of it.
    while rest == 0 {
        let mut written = 0;
        while written < message.len() {
            let writing = tokio::io::AsyncWriteExt::write(&mut client.stream, &message[written..]);
            match tokio::time::timeout(Duration::from_millis(500), writing).await {
                Ok(length) => written += length.unwrap(),
                Err(_) => break,
            }
        }
        messages += 1;
        sent += written;
        rest = message.len() - written;
        assert!(sent <= BOUND, "{sent} bytes were taken in");
    }
    gate.open();
    client.send(&message[message.len() - rest..]).await;
    client.send(frame(FIN | TEXT, "end")).await;
    assert_eq!(client.message().await, (messages + 1).to_string());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn core_08_sends_on_a_websocket_wait_for_a_client_that_does_not_read() {
    const TOTAL: usize = 2048;
    const BOUND: usize = 1024;
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, _, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        for n in 0..TOTAL {
            let mut sending = std::pin::pin!(sender.send(Message::binary(vec![0; 64 << 10])));
            // One that is told too early only makes less of it.
            match tokio::time::timeout(Duration::from_millis(500), &mut sending).await {
                Ok(sent) => sent?,
                Err(_) => {
                    teller.tell(n);
                    sending.await?;
                }
            }
        }
        teller.tell(TOTAL);
        Ok(())
    }));
    let mut client = open(&server, "/").await;
    let held = told.next().await;
    assert!(held <= BOUND, "{held} messages were taken");
    for _ in 0..TOTAL {
        assert_eq!(client.frame().await.1.len(), 64 << 10);
    }
    client.closed_with(1000).await;
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
    server.ended().await.unwrap();
}

#[tokio::test]
async fn ws_32_each_message_is_sent_at_once() {
    let gate = Gate::new();
    let server = Server::start(websocket(gate.clone(), async |gate: Gate, _, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        for n in 0..3 {
            sender.send(Message::text(n.to_string())).await?;
            gate.passed().await;
        }
        Ok(())
    }));
    let mut client = open(&server, "/").await;
    for n in 0..3 {
        assert_eq!(client.message().await, n.to_string());
        gate.open();
    }
    client.closed_with(1000).await;
    server.finish().await;
}

#[tokio::test]
async fn core_07_another_task_sends_on_a_websocket() {
    let server = Server::start(websocket((), async |(), _, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..100 {
                        sender
                            .send(Message::text(format!("{task} {n}")))
                            .await
                            .unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        Ok(())
    }));
    let mut client = open(&server, "/").await;
    let mut next = [0; 4];
    for _ in 0..400 {
        let message = client.message().await;
        let (task, n) = message.split_once(' ').unwrap();
        let task: usize = task.parse().unwrap();
        assert_eq!(n, next[task].to_string());
        next[task] += 1;
    }
    client.closed_with(1000).await;
    server.finish().await;
}

#[tokio::test]
async fn core_14_the_grace_period_holds_for_a_websocket() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeout_disconnect = Duration::from_millis(50);
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
