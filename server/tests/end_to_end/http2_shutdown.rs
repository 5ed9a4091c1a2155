//! A shutdown of the server with HTTP/2 clients that do not take part in it.

use std::time::{Duration, Instant};

use crate::support::http2_frames::{
    self as frames, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, RawClient,
};
use crate::support::{Gate, Server, http, tell, whole};
use h2::Reason;

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
    let mut server = Server::start(crate::support::says("x"));
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
