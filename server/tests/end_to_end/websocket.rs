//! The messages of WebSockets over HTTP/1.1 that are open.

use std::time::Duration;

use crate::support::frames::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, frame, open};
use crate::support::websocket::echo_server;
use crate::support::{Gate, Server, tell, websocket, within};
use callgate::{Message, ReceiveEvent, WebSocketAccept};
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
    drop(client);
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
    drop(client);
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
    const TOTAL: usize = 1024;
    const BOUND: usize = 512;
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, _, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        for n in 0..TOTAL {
            let mut sending = std::pin::pin!(sender.send(Message::binary(vec![0; 64 << 10])));
            // One that is told too early only makes less of it.
            match tokio::time::timeout(Duration::from_millis(100), &mut sending).await {
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
    drop(client);
    server.finish().await;
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
    drop(client);
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
    drop(client);
    server.finish().await;
}
