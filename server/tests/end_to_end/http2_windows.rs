//! Streams of an HTTP/2 connection that share its windows and its socket: which client is at fault
//! when a stream makes no progress (RFC 9113, 5.2).

use std::time::{Duration, Instant};

use crate::support::http2_frames::{
    DATA, END_STREAM, Frame, INITIAL_WINDOW_SIZE, LARGEST_WINDOW, RST_STREAM, RawClient,
    WINDOW_UPDATE, head,
};
use crate::support::{Gate, Server, Teller, config, http, tell, whole};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Sender};
use callgate_server::Config;
use tokio::time::timeout;

/// How long a transfer may make no progress in these tests.
const LIMIT: Duration = Duration::from_millis(400);

fn impatient() -> Config {
    let mut configured = config();
    configured.timeouts.request_content = LIMIT;
    configured.timeouts.write = LIMIT;
    configured
}

/// Sends parts for ever, or a small response for `/small`. Tells the end of the call.
async fn stream(
    teller: Teller<()>,
    scope: HttpScope,
    _: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let _dropped = crate::support::OnDrop::tell(&teller, ());
    if scope.raw_path() == "/small" {
        return whole(&sender, vec![b'x'; 4000]).await;
    }
    sender.send(HttpResponseStart::ok()).await?;
    let part = bytes::Bytes::from(vec![b'x'; 10_000]);
    loop {
        sender.send(HttpResponseBody::part(part.clone())).await?;
    }
}

/// Receives the content, after the gate has opened for `/holds`, and responds with its length.
async fn receive(
    gate: Gate,
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    if scope.raw_path() == "/holds" {
        gate.passed().await;
    }
    match crate::support::content(&mut receiver).await {
        Some((content, _)) => whole(&sender, content.len().to_string()).await,
        None => Ok(()),
    }
}

/// Returns the next data frame of a stream.
async fn data_of(client: &mut RawClient, stream: u32) -> Frame {
    loop {
        let frame = client.frame_of(DATA).await.expect("the content");
        if frame.stream == stream {
            return frame;
        }
    }
}

#[tokio::test]
async fn content_is_not_late_while_other_streams_have_used_up_the_window_of_the_connection() {
    /// The window of a stream is half of the connection's.
    const FRAMES: usize = 32;
    let gate = Gate::new();
    let server = Server::with(impatient(), http(gate.clone(), receive));
    let mut client = RawClient::connect(&server, &[]).await;
    client.frame_of(WINDOW_UPDATE).await.expect("the window");
    for stream in [1, 3] {
        client.send_fields(0, stream, &head("POST", "/holds")).await;
        for _ in 0..FRAMES {
            client.send(DATA, 0, stream, &[b'x'; 16 * 1024]).await;
        }
    }
    for stream in [5, 7] {
        let fields = head("POST", "/receives");
        client.send_fields(0, stream, &fields).await;
    }
    let early = timeout(3 * LIMIT, client.frame_of(DATA)).await;
    assert!(early.is_err(), "{early:?}");
    gate.open();
    gate.open();
    let extended = client.frame_of(WINDOW_UPDATE).await.expect("a window");
    assert_eq!(extended.stream, 0);
    let start = Instant::now();
    client.send(DATA, END_STREAM, 5, b"late").await;
    assert_eq!(data_of(&mut client, 5).await.payload, b"4");
    // The client can send on the last stream now, and does not.
    let rejected = data_of(&mut client, 7).await;
    assert!(rejected.payload == b"Request Timeout", "{rejected:?}");
    assert!(start.elapsed() >= LIMIT / 2, "{:?}", start.elapsed());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_stream_without_window_is_reset_although_another_is_read_slowly() {
    let (teller, _) = tell();
    let mut configured = impatient();
    configured.http2.max_concurrent_streams = 3;
    let server = Server::with_small_buffer(configured, http(teller, stream));
    let settings = [(INITIAL_WINDOW_SIZE, 0)];
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    for stream in [1, 3, 5] {
        client.get(stream, "/").await;
    }
    client.extend_window(1, LARGEST_WINDOW).await;
    let start = Instant::now();
    let mut reset = Vec::new();
    while reset.len() < 2 {
        let frame = client.frame().await.expect("a frame");
        match frame.kind {
            RST_STREAM => reset.push(frame.stream),
            _ => tokio::time::sleep(LIMIT / 100).await,
        }
        let waited = start.elapsed();
        assert!(waited < 25 * LIMIT, "streams without window are kept");
    }
    reset.sort_unstable();
    assert_eq!(reset, [3, 5]);
    assert!(start.elapsed() >= LIMIT / 2, "{:?}", start.elapsed());
    data_of(&mut client, 1).await;
    drop(client);
    server.finish().await;
}

/// A stream cannot be reset any more when the library that speaks HTTP/2 has its end (a known
/// limit).
#[tokio::test]
async fn a_connection_ends_for_a_complete_response_without_window_although_another_is_read_slowly()
{
    let (teller, _) = tell();
    let mut configured = impatient();
    configured.http2.max_concurrent_streams = 2;
    let server = Server::with_small_buffer(configured, http(teller, stream));
    let settings = [(INITIAL_WINDOW_SIZE, 1)];
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    client.get(1, "/small").await;
    data_of(&mut client, 1).await;
    client.get(3, "/").await;
    client.extend_window(3, LARGEST_WINDOW - 1).await;
    let start = Instant::now();
    while client.frame_of(DATA).await.is_some() {
        tokio::time::sleep(LIMIT / 100).await;
        let waited = start.elapsed();
        assert!(waited < 50 * LIMIT, "the connection is kept");
    }
    assert!(start.elapsed() >= LIMIT / 2, "{:?}", start.elapsed());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn streams_that_share_a_slow_window_are_not_reset() {
    const STREAMS: usize = 40;
    const STEP: u32 = 4096;
    let (teller, mut told) = tell();
    let server = Server::with(impatient(), http(teller, stream));
    let settings = [(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)];
    let mut client = RawClient::connect(&server, &settings).await;
    for stream in (1..).step_by(2).take(STREAMS) {
        client.get(stream, "/").await;
    }
    // In the time between two frames of one stream, those of the others use the window up.
    let mut open = 65_535;
    let start = Instant::now();
    while start.elapsed() < 4 * LIMIT {
        while open > 0 {
            let frame = client.frame_of(DATA).await.expect("content");
            open -= frame.payload.len();
        }
        tokio::time::sleep(LIMIT / 40).await;
        client.extend_window(0, STEP).await;
        open += STEP as usize;
    }
    assert!(told.is_empty(), "a stream was reset");
    drop(client);
    for _ in 0..STREAMS {
        told.next().await;
    }
    server.finish().await;
}
