//! Floods of HTTP/2 frames: each ends its connection, and no other.

#[cfg(feature = "metrics")]
use crate::metrics::has_lines;
use crate::support::http2::Client;
use crate::support::http2_frames::{
    ACK, DATA, GOAWAY, PING, RST_STREAM, RawClient, SETTINGS, WINDOW_UPDATE, frame, head,
};
#[cfg(feature = "metrics")]
use crate::support::http2_frames::{HEADERS, INITIAL_WINDOW_SIZE, LARGEST_WINDOW, section};
use crate::support::{Server, config, content, http, whole, within};
use tokio::io::AsyncWriteExt as _;

const PRIORITY: u8 = 2;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xbe;
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// More frames than the server takes in 10 s.
const FRAMES: usize = 150;

fn server() -> Server {
    let config = config()
        .http2_max_control_frames(10)
        .http2_max_pending_resets(1000);
    Server::with(
        config,
        http((), async |(), _, mut receiver, sender| {
            content(&mut receiver).await;
            whole(&sender, "served").await
        }),
    )
}

#[tokio::test]
async fn a_flood_of_frames_without_content_is_ended_with_goaway() {
    let server = server();
    let mut other = Client::connect(&server).await;
    for (kind, flags, stream, payload) in [
        (PING, 0, 0, &[0; 8][..]),
        (PING, ACK, 0, &[0; 8]),
        (SETTINGS, 0, 0, &[]),
        (PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        (WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        (DATA, 0, 1, &[]),
        (CONTINUATION, 0, 1, &[]),
        (UNKNOWN, 0, 0, &[1, 2, 3]),
    ] {
        let mut client = RawClient::connect(&server, &[]).await;
        if kind == CONTINUATION {
            // The header section is not at its end.
            client.send(1, 0, 1, &[]).await;
        } else {
            client.send_fields(0, 1, &head("POST", "/")).await;
        }
        let flood = frame(kind, flags, stream, payload).repeat(FRAMES);
        within(client.stream.write_all(&flood)).await.ok();
        let goaway = client.frame_of(GOAWAY).await.expect("a GOAWAY frame");
        assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM, "{kind}");
        assert!(client.frame_of(GOAWAY).await.is_none(), "{kind}");
    }
    assert_eq!(other.text("/").await, "served");
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_begins_streams_and_resets_them_at_once_is_ended_with_goaway() {
    let server = server();
    let mut client = RawClient::connect(&server, &[]).await;
    for stream in (1..).step_by(2).take(FRAMES) {
        client.send_fields(0, stream, &head("POST", "/")).await;
        client.send(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await;
    }
    let goaway = client.frame_of(GOAWAY).await.expect("a GOAWAY frame");
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM);
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_extends_its_windows_for_what_it_gets_is_no_flood() {
    let server = server();
    let mut client = RawClient::connect(&server, &[]).await;
    for stream in (1..).step_by(2).take(FRAMES) {
        client.get(stream, "/").await;
        let data = client.frame_of(DATA).await.unwrap();
        assert_eq!((data.stream, &*data.payload), (stream, &b"served"[..]));
        client.extend_window(0, 6).await;
        client.extend_window(stream, 6).await;
    }
    drop(client);
    server.finish().await;
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn malformed_requests_whose_resets_are_not_taken_are_no_more_than_the_concurrent_streams() {
    const STREAMS: u32 = 10;
    let mut config = config().admin(Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    config.http2.max_concurrent_streams = STREAMS;
    let app = http((), async |(), _, _, sender| {
        whole(&sender, vec![b'x'; 32 << 20]).await
    });
    let server = Server::with(config, app);
    // The response is more than the system buffers for a client that does not read.
    let settings = [(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)];
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    client.get(1, "/").await;
    let malformed = section(&[&head("GET", "/")[..], &[("host", "other")]].concat());
    let flood: Vec<_> = (3..)
        .step_by(2)
        .take(10_000)
        .flat_map(|stream| frame(HEADERS, 5, stream, &malformed))
        .collect();
    within(client.stream.write_all(&flood)).await.ok();
    // The streams beyond the concurrent ones are refused, which counts as an error of the client.
    let text = has_lines(
        &server,
        &["callgate_limit_reached_total{limit=\"http2_resets\"} 1"],
    )
    .await;
    let name = "callgate_http_requests_total{method=\"GET\",status=\"none\",version=\"2\"} ";
    let read = text.lines().find_map(|line| line.strip_prefix(name));
    // 16 KiB of resets are collected for one write.
    let read: u32 = read.unwrap().parse().unwrap();
    assert!(read < 16 * 1024 / 13 + STREAMS, "{read} requests are read");
    drop(client);
    server.finish().await;
}
