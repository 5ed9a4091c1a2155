//! WebSockets whose application stops receiving.

use std::time::Duration;

use bytes::Bytes;
use callgate::{ReceiveEvent, WebSocketAccept};
use socket2::SockRef;

use crate::support::frames::{BINARY, FIN, PING, close, frame, open};
use crate::support::http2::{Client as Http2Client, open as open_http2};
use crate::support::websocket::pinging;
use crate::support::{Client, Gate, OnDrop, Server, Told, tell, websocket, within};

const INTERVAL: Duration = Duration::from_millis(200);

/// What an application reports.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    Accepted,
    Dropped,
}

/// A server whose application accepts each WebSocket and never receives, and reports when its call
/// is dropped.
fn server_that_never_receives() -> (Server, Told<Report>) {
    let (teller, told) = tell();
    let mut configured = pinging(INTERVAL, INTERVAL);
    configured.timeouts.disconnect = Duration::ZERO;
    let app = websocket(teller, async |teller, _, _receiver, sender| {
        let _dropped = OnDrop::tell(&teller, Report::Dropped);
        sender.send(WebSocketAccept::new()).await?;
        teller.tell(Report::Accepted);
        std::future::pending().await
    });
    (Server::with(configured, app), told)
}

/// This many messages of 1 KiB.
fn messages(count: usize) -> Vec<u8> {
    frame(FIN | BINARY, [b'x'; 1024]).repeat(count)
}

/// Fills the queue of messages to be received, and leaves something behind it.
const FILLS_THE_QUEUE: usize = 70;
/// Fills what the server reads beyond that queue as well, and leaves something behind it: a hang-up
/// that follows is in the system's buffer, behind octets that the server does not read.
const FILLS_THE_READ_AHEAD: usize = 140;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Closes,
    HalfCloses,
    HangsUp,
    Resets,
}

/// Leaves the WebSocket. Returns the connection, if it is still there.
async fn leave(mut client: Client, leaving: Leaving) -> Option<Client> {
    match leaving {
        Leaving::Closes => client.send(close(1000, "")).await,
        Leaving::HalfCloses => client.half_close().await,
        Leaving::HangsUp => return None,
        Leaving::Resets => {
            let socket = SockRef::from(&client.stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            return None;
        }
    }
    Some(client)
}

#[tokio::test]
async fn core_14_a_client_that_leaves_is_noticed_although_the_application_never_receives() {
    for (backlog, leaving) in [
        (FILLS_THE_QUEUE, Leaving::Closes),
        (FILLS_THE_QUEUE, Leaving::HalfCloses),
        (FILLS_THE_QUEUE, Leaving::HangsUp),
        (FILLS_THE_QUEUE, Leaving::Resets),
        (FILLS_THE_READ_AHEAD, Leaving::HalfCloses),
        (FILLS_THE_READ_AHEAD, Leaving::HangsUp),
        (FILLS_THE_READ_AHEAD, Leaving::Resets),
    ] {
        println!("{leaving:?} after {backlog} messages");
        let (server, mut told) = server_that_never_receives();
        let mut client = open(&server, "/").await;
        assert_eq!(told.next().await, Report::Accepted);
        client.send(messages(backlog)).await;
        let client = leave(client, leaving).await;
        assert_eq!(told.next().await, Report::Dropped);
        // Nothing is left that a shutdown has to wait for.
        drop(client);
        server.finish().await;
    }
}

#[tokio::test]
async fn core_14_a_client_that_leaves_with_a_large_backlog_is_noticed() {
    let (server, mut told) = server_that_never_receives();
    let client = open(&server, "/").await;
    assert_eq!(told.next().await, Report::Accepted);
    // The system holds what the server does not read, and then what the client cannot send. A client
    // that leaves then cannot say so before there is room.
    while client.stream.try_write(&messages(64)).is_ok() {}
    drop(client);
    assert_eq!(told.next().await, Report::Dropped);
    server.finish().await;
}

#[tokio::test]
async fn core_14_a_client_that_leaves_over_http2_is_noticed_although_the_application_never_receives()
 {
    for backlog in [FILLS_THE_QUEUE, 4 * FILLS_THE_READ_AHEAD] {
        let (server, mut told) = server_that_never_receives();
        let mut client = Http2Client::connect(&server).await;
        let (response, mut stream) = open_http2(&mut client, "/").await;
        assert_eq!(response.status(), 200);
        assert_eq!(told.next().await, Report::Accepted);
        stream
            .send_data(Bytes::from(messages(backlog)), true)
            .unwrap();
        // The connection stays, and so does what the server's window has no room for.
        assert_eq!(told.next().await, Report::Dropped);
        drop((response, stream, client));
        server.finish().await;
    }
}

#[tokio::test]
async fn ws_25_a_slow_application_keeps_a_client_that_is_there() {
    const MESSAGES: usize = 4096;
    const PINGS: usize = 3;
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let ping = Duration::from_millis(500);
    let server = Server::with(
        pinging(ping, ping),
        websocket(
            (teller, gate.clone()),
            async |(teller, gate), _, mut receiver, sender| {
                sender.send(WebSocketAccept::new()).await?;
                gate.passed().await;
                let mut received = 0;
                loop {
                    match receiver.receive().await {
                        ReceiveEvent::WebSocketReceive(_) => received += 1,
                        ReceiveEvent::WebSocketDisconnect(end) => {
                            teller.tell((received, end.code));
                            return Ok(());
                        }
                        _ => {}
                    }
                }
            },
        ),
    );
    let mut client = open(&server, "/").await;
    let (mut reading, mut writing) = client.stream.split();
    let sending = async {
        use tokio::io::AsyncWriteExt as _;
        writing.write_all(&messages(MESSAGES)).await.unwrap();
        writing.write_all(&close(1000, "")).await.unwrap();
    };
    // The client cannot answer the pings: what it has to say waits behind its messages.
    let seeing_pings = async {
        use tokio::io::AsyncReadExt as _;
        for _ in 0..PINGS {
            let mut ping = [0; 2];
            reading.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping, [FIN | PING, 0]);
        }
        gate.open();
    };
    within(async { tokio::join!(sending, seeing_pings) }).await;
    assert_eq!(told.next().await, (MESSAGES, 1000));
    drop(client);
    server.finish().await;
}
