//! How much one HTTP/2 connection can make the server hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::http2::{Client, request};
use crate::support::http2_frames::{INITIAL_WINDOW_SIZE, LARGEST_WINDOW, PING, RawClient};
use crate::support::{Server, config, http, tell, whole, within};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Sender};
use futures_util::future::join_all;

/// The size of the parts that the application sends.
const PART: usize = 1000;

/// Sends parts for ever, and counts their octets.
async fn send_and_count(
    sent: Arc<AtomicUsize>,
    _: HttpScope,
    _: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    sender.send(HttpResponseStart::ok()).await?;
    let part = bytes::Bytes::from(vec![b'x'; PART]);
    loop {
        sender.send(HttpResponseBody::part(part.clone())).await?;
        sent.fetch_add(PART, Ordering::Relaxed);
    }
}

/// Returns the count once it has not changed for a while: a busy machine makes it smaller.
async fn settled(sent: &AtomicUsize) -> usize {
    let settled = async {
        let mut last = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            match sent.load(Ordering::Relaxed) {
                now if now == last && now > 0 => return now,
                now => last = now,
            }
        }
    };
    within(settled).await
}

#[tokio::test]
async fn without_window_a_stream_holds_two_parts_of_the_application() {
    const STREAMS: usize = 50;
    let sent = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(sent.clone(), send_and_count));
    let mut client = RawClient::connect(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for stream in (1..).step_by(2).take(STREAMS) {
        client.get(stream, "/").await;
    }
    let sent = settled(&sent).await;
    assert!(sent <= STREAMS * 2 * PART, "{sent} octets are held");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn with_the_largest_window_the_streams_of_a_connection_share_a_bound() {
    const STREAMS: usize = 50;
    let sent = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(sent.clone(), send_and_count));
    let settings = [(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)];
    // A client that reads nothing. One stream fills the buffers of the system first.
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    client.get(1, "/").await;
    let before = settled(&sent).await;
    for stream in (3..).step_by(2).take(STREAMS) {
        client.get(stream, "/").await;
    }
    let held = settled(&sent).await - before;
    // A stream holds one part beyond the shared bound, and one in its mailbox.
    assert!(
        held <= (1 << 20) + STREAMS * 2 * PART,
        "{held} octets are held"
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_has_as_many_streams_at_a_time_as_configured() {
    let mut configured = config();
    assert_eq!(configured.http2.max_concurrent_streams, 100);
    for streams in [100, 7] {
        configured.http2.max_concurrent_streams = streams;
        let server = Server::with(configured.clone(), crate::support::says("x"));
        let mut client = Client::connect(&server).await;
        assert_eq!(client.text("/").await, "x");
        assert_eq!(client.requests.current_max_send_streams(), streams as usize);
        drop(client);
        server.finish().await;
    }
}

#[tokio::test]
async fn content_that_is_not_received_leaves_other_streams_their_window() {
    let server = Server::start(http((), async |(), scope, mut receiver, sender| {
        if scope.raw_path() == "/waits" {
            std::future::pending::<()>().await;
        }
        let (content, _) = crate::support::content(&mut receiver).await.unwrap();
        whole(&sender, content.len().to_string()).await
    }));
    let mut client = Client::connect(&server).await;
    // The settings have come.
    let (response, mut content) = client.begin(request("/"));
    content.send_data("x".into(), true).unwrap();
    within(response).await.unwrap();
    let (_response, mut unreceived) = client.begin(request("/waits"));
    unreceived
        .send_data(vec![0; 2 << 20].into(), false)
        .unwrap();
    let uploads = (0..3).map(|_| {
        let (response, mut content) = client.begin(request("/"));
        content.send_data(vec![0; 2 << 20].into(), true).unwrap();
        response
    });
    for response in within(join_all(uploads.collect::<Vec<_>>())).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    drop((client, unreceived));
    server.stop();
}

#[tokio::test]
async fn requests_wait_while_the_responses_before_them_hold_too_much() {
    const LARGE: usize = 1 << 20;
    const STREAMS: usize = 20;
    let (begun, mut is_begun) = tell();
    let config = config().http2_response_backlog(2 * LARGE);
    let app = http(begun, async |begun, _, _, sender| {
        begun.tell(());
        whole(&sender, vec![b'x'; LARGE]).await
    });
    let server = Server::with(config, app);
    let mut client = RawClient::connect(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for stream in (1..).step_by(2).take(STREAMS) {
        client.get(stream, "/").await;
    }
    is_begun.next().await;
    is_begun.next().await;
    // The acknowledgement shows that the server has read all requests.
    client.send(PING, 0, 0, &[0; 8]).await;
    client.frame_of(PING).await.unwrap();
    assert!(is_begun.is_empty());
    // The client takes one response, whichever has begun.
    for stream in (1..).step_by(2).take(STREAMS) {
        client.extend_window(stream, LARGE as u32).await;
    }
    client.extend_window(0, LARGE as u32).await;
    is_begun.next().await;
    drop(client);
    server.finish().await;
}
