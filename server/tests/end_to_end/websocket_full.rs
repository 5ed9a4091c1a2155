//! WebSockets whose client does not take what it is sent, or takes its time over it.

use std::time::Duration;

use callgate::{Message, ReceiveEvent, WebSocketAccept};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::support::frames::{BINARY, CLOSE, FIN, PING, close, frame, open, open_over};
use crate::support::websocket::{disconnect_code, echo, echo_server, pinging};
use crate::support::{Client, OnDrop, Server, Told, config, find, tell, websocket, within};

/// More than systems hold for a client that does not read, in bytes.
const LARGE: usize = 16 << 20;

/// A server that sends a large message and tells the code with which it is disconnected.
fn sends_a_large_message(ping: Option<Duration>) -> (Server, Told<u16>) {
    let (teller, told) = tell();
    let mut configured = config();
    configured.websocket.ping_interval = ping;
    configured.websocket.ping_timeout = ping;
    let app = websocket(teller, async |teller, _, mut receiver, sender| {
        sender.send(WebSocketAccept::new()).await?;
        sender.send(Message::binary(vec![b'y'; LARGE])).await?;
        teller.tell(0);
        teller.tell(disconnect_code(&mut receiver).await);
        Ok(())
    });
    (Server::with(configured, app), told)
}

/// Reads the large message.
async fn large_message(client: &mut Client) {
    let (first, payload) = client.frame().await;
    assert_eq!((first, payload.len()), (FIN | BINARY, LARGE));
}

/// Reads the next frame that is no ping.
async fn after_pings(client: &mut Client) -> (u8, Vec<u8>) {
    loop {
        let frame = client.frame().await;
        if frame.0 != FIN | PING {
            return frame;
        }
    }
}

#[tokio::test]
async fn ws_16_a_client_that_sends_and_never_reads_is_given_up() {
    let (teller, mut told) = tell();
    let configured = pinging(Duration::from_millis(200), Duration::from_millis(200));
    let app = websocket(teller, async |teller, _, mut receiver, sender| {
        let _ended = OnDrop::tell(&teller, ());
        sender.send(WebSocketAccept::new()).await?;
        loop {
            if let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
                sender.send(message).await?;
            }
        }
    });
    let server = Server::with(configured, app);
    let mut client = open(&server, "/").await;
    let message = frame(FIN | BINARY, vec![0; 64 << 10]);
    let sending = async { while client.stream.write_all(&message).await.is_ok() {} };
    tokio::select! {
        () = told.next() => {}
        () = sending => panic!("the connection has ended before the call"),
    }
    // So does the connection.
    client.rest_octets().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_15_a_client_that_pings_and_never_reads_is_held_back() {
    const BOUND: usize = 64 << 20;
    let (server, mut told) = echo_server();
    let mut client = open(&server, "/").await;
    let pings = frame(FIN | PING, [b'x'; 125]).repeat(500);
    let mut sent = 0;
    let rest = loop {
        let rest = &pings[sent % pings.len()..];
        match timeout(Duration::from_millis(500), client.stream.write(rest)).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break rest,
        }
        assert!(sent <= BOUND, "{sent} bytes of pings were taken");
    };
    // Once it reads, it is answered again.
    let last = b"the last";
    let (mut reading, mut writing) = client.stream.split();
    let send = async {
        writing.write_all(rest).await?;
        writing.write_all(&frame(FIN | PING, last)).await
    };
    let mut answers = Vec::with_capacity(64 << 10);
    let read = async {
        while find(&answers, last).is_none() {
            // Its beginning may have come already.
            answers.drain(..answers.len().saturating_sub(last.len()));
            assert_ne!(reading.read_buf(&mut answers).await?, 0, "the end");
        }
        Ok(())
    };
    within(async { tokio::try_join!(send, read) })
        .await
        .unwrap();
    client.send(close(1000, "")).await;
    assert_eq!(told.next().await.0, 1000);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_client_that_takes_long_to_send_a_message_is_there() {
    const PAUSE: Duration = Duration::from_millis(20);
    let (teller, mut told) = tell();
    let configured = pinging(20 * PAUSE, 20 * PAUSE);
    let server = Server::with(configured, websocket(teller, echo));
    let mut client = open(&server, "/").await;
    let message = frame(FIN | BINARY, [b'x'; 60]);
    // It cannot answer a ping before its message is through.
    for piece in message.chunks(1) {
        client.send(piece).await;
        sleep(PAUSE).await;
    }
    assert_eq!(
        after_pings(&mut client).await,
        (FIN | BINARY, vec![b'x'; 60])
    );
    client.send(close(1000, "")).await;
    assert_eq!(told.next().await.0, 1000);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_16_a_client_that_takes_long_to_read_a_message_is_there() {
    let ping = Duration::from_millis(500);
    let (server, mut told) = sends_a_large_message(Some(ping));
    // What the systems hold at the end is read in less time than a ping may take.
    let client = Client::over(server.connect_with_buffer(256 << 10).await);
    let mut client = open_over(client, "/").await;
    assert_eq!(told.next().await, 0);
    let mut left = LARGE;
    while left > 0 {
        // A ping would wait behind the message.
        sleep(ping * 3 / 16).await;
        let part = left.min(1 << 20);
        client.bytes(part).await;
        left -= part;
    }
    client.send(close(1000, "")).await;
    assert_eq!(told.next().await, 1000);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_20_what_was_sent_before_the_clients_close_arrives() {
    const PING_EACH: Duration = Duration::from_millis(250);
    // Some time in which a server could do something else than to wait.
    const PAUSE: Duration = Duration::from_millis(200);
    let check = async |(ping, is_half_closed, pause)| {
        let (server, mut told) = sends_a_large_message(ping);
        let mut client = open(&server, "/").await;
        assert_eq!(told.next().await, 0);
        client.send(close(1000, "")).await;
        if is_half_closed {
            client.half_close().await;
        }
        assert_eq!(told.next().await, 1000);
        sleep(pause).await;
        large_message(&mut client).await;
        let (first, payload) = after_pings(&mut client).await;
        assert_eq!(
            (first, payload),
            (FIN | CLOSE, 1000_u16.to_be_bytes().into())
        );
        assert_eq!(client.rest().await, "");
        drop(client);
        server.finish().await;
    };
    let closes = [
        (None, false, PAUSE),
        (None, true, PAUSE),
        (Some(PING_EACH), false, 3 * PING_EACH),
    ];
    join_all(closes.map(check)).await;
}

#[tokio::test]
async fn ws_26_what_was_sent_before_a_shutdown_arrives() {
    let (mut server, mut told) = sends_a_large_message(None);
    let mut client = open(&server, "/").await;
    assert_eq!(told.next().await, 0);
    server.stop();
    assert_eq!(told.next().await, 1012);
    // It crosses the server's, which waits behind the message.
    client.send(close(1000, "")).await;
    sleep(Duration::from_millis(200)).await;
    large_message(&mut client).await;
    assert_eq!(client.close_frame().await.0, 1012);
    assert_eq!(client.rest().await, "");
    drop(client);
    server.ended().await.unwrap();
}
