//! A shutdown of the server with HTTP/2 clients that do not take part in it.

use std::time::{Duration, Instant};

use crate::support::http2_frames::{
    self as frames, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, RawClient,
};
use crate::support::{Gate, Server, config, get, http, says, system_has_delivered, tell, whole};
use h2::Reason;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_client_that_does_not_answer_the_ping_of_a_shutdown_is_not_served_on() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), scope, _, sender| {
            teller.tell(());
            if scope.raw_path() == "/waits" {
                gate.passed().await;
            }
            whole(&sender, "completed").await
        },
    ));
    let mut client = RawClient::connect(&server, &[]).await;
    client.get(1, "/waits").await;
    told.next().await;
    server.stop();
    let start = Instant::now();
    client.frame_of(GOAWAY).await.expect("the first GOAWAY");
    // The client goes on as if there had been none, and answers no ping.
    let mut stream = 3;
    let refused = loop {
        client.get(stream, "/").await;
        let frame = loop {
            let frame = client.frame().await.expect("an answer");
            match frame.kind {
                HEADERS | RST_STREAM => break frame,
                PING => assert_eq!(frame.flags & frames::ACK, 0),
                _ => {}
            }
        };
        assert_eq!(frame.stream, stream);
        if frame.kind == RST_STREAM {
            break frame;
        }
        told.next().await;
        assert!(start.elapsed() < Duration::from_secs(20), "it is served on");
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream += 2;
    };
    assert_eq!(refused.reset_code(), u32::from(Reason::REFUSED_STREAM));
    assert!(told.is_empty());
    // The exchange in flight is completed, and the connection ends with it.
    assert!(server.is_serving());
    gate.open();
    let content = client.frame_of(frames::DATA).await.expect("the content");
    assert_eq!(
        (content.stream, content.payload),
        (1, b"completed".to_vec())
    );
    assert_eq!(content.flags & END_STREAM, END_STREAM);
    assert!(client.rest(HEADERS).await.is_empty());
    server.ended().await.unwrap();
}

#[tokio::test]
async fn an_idle_client_that_does_not_answer_the_ping_of_a_shutdown_is_left() {
    let mut server = Server::start(says("x"));
    let mut client = RawClient::connect(&server, &[]).await;
    client.get(1, "/").await;
    client.frame_of(frames::DATA).await.expect("the content");
    server.stop();
    let start = Instant::now();
    server.ended().await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    client.rest(HEADERS).await;
}

/// Checks that the server answers in HTTP/2, and ends when the client leaves after GOAWAY.
async fn check_goaway(stream: TcpStream, mut server: Server) {
    let mut client = RawClient { stream };
    client.frame_of(GOAWAY).await.expect("GOAWAY");
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_preface_that_has_arrived_before_the_shutdown_is_answered_with_goaway() {
    let server = Server::start(says("x"));
    // The connection waits for its first octets.
    let stream = server.connect().await.stream;
    server.ask(get("/")).await;
    // The server gets its turn on this thread after both.
    stream.try_write(frames::PREFACE).unwrap();
    system_has_delivered();
    server.stop();
    check_goaway(stream, server).await;
}

#[tokio::test]
async fn a_preface_in_the_systems_queue_is_answered_with_goaway() {
    let server = Server::start(says("x"));
    server.ask(get("/")).await;
    let stream = std::net::TcpStream::connect(server.address).unwrap();
    std::io::Write::write_all(&mut &stream, frames::PREFACE).unwrap();
    system_has_delivered();
    server.stop();
    stream.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(stream).unwrap();
    check_goaway(stream, server).await;
}

#[tokio::test]
async fn a_preface_that_a_shutdown_interrupts_is_answered_with_goaway() {
    for length in [1, 4, frames::PREFACE.len() - 1] {
        let server = Server::start(says("x"));
        let mut client = server.connect().await;
        let (first, second) = frames::PREFACE.split_at(length);
        client.send(first).await;
        system_has_delivered();
        server.stop();
        // Time for a server that does not wait for the rest.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send(second).await;
        check_goaway(client.stream, server).await;
    }
}

#[tokio::test]
async fn a_client_that_stops_in_its_preface_does_not_outlast_the_time_for_shutdown() {
    let mut configured = config();
    configured.timeouts.graceful_shutdown = Some(Duration::from_millis(50));
    let mut server = Server::with(configured, says("x"));
    let mut client = server.connect().await;
    client.send(&frames::PREFACE[..10]).await;
    system_has_delivered();
    server.stop();
    server.ended().await.unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_of_a_server_of_http2_only_is_closed_without_a_response() {
    let mut configured = config();
    configured.http.versions = callgate_server::HttpVersions::Http2;
    let mut server = Server::with(configured, says("x"));
    let mut client = server.connect().await;
    system_has_delivered();
    tokio::task::yield_now().await;
    server.stop();
    assert_eq!(client.rest().await, "");
    server.ended().await.unwrap();
}
