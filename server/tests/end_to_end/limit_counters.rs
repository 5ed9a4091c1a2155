//! The counters of limits that `h2` and `callgate-drive` keep.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use callgate_server::Config;

use crate::metrics::has_lines;
use crate::support::frames::{BINARY, CONTINUATION, FIN, TEXT, frame, open};
use crate::support::http2_frames::{GOAWAY, HEADERS, RST_STREAM, RawClient, head};
use crate::support::websocket::echo;
use crate::support::{Server, config, get, says, tell, websocket};

const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

fn with_admin() -> Config {
    config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()))
}

/// Waits until a limit has been reached so often.
async fn is_reached(server: &Server, limit: &str, count: u32) {
    let line = format!("callgate_limit_reached_total{{limit=\"{limit}\"}} {count}");
    has_lines(server, &[&line]).await;
}

#[tokio::test]
async fn messages_of_too_many_frames_or_octets_are_counted_by_their_limits() {
    let (teller, mut told) = tell();
    let config = with_admin()
        .ws_max_frames(NonZeroUsize::new(3).unwrap())
        .ws_max_size(1000);
    let server = Server::with(config, websocket(teller, echo));
    server.started().await;
    let empty = frame(CONTINUATION, "");
    for (octets, code) in [
        ([frame(TEXT, ""), empty.repeat(3)].concat(), 1008),
        (frame(FIN | BINARY, [0; 1001]), 1009),
    ] {
        let mut client = open(&server, "/").await;
        client.send(octets).await;
        assert_eq!(client.close_frame().await.0, code);
        assert_eq!(told.next().await.0, code);
    }
    is_reached(&server, "websocket_message_frames", 1).await;
    is_reached(&server, "websocket_message_size", 1).await;
    server.finish().await;
}

/// Begins a request whose field has so many octets.
async fn send_large_head(client: &mut RawClient, stream: u32, octets: usize) {
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    const CONTINUATION: u8 = 9;
    // Indexed pseudo-fields, and a literal field whose length has continuation octets (RFC 7541, 5.1 and 6).
    let mut section = b"\x82\x86\x84\x41\x04test\0\x01a\x7f".to_vec();
    let mut rest = octets - 127;
    while rest >= 128 {
        section.push(0x80 | (rest % 128) as u8);
        rest /= 128;
    }
    section.push(rest as u8);
    section.resize(section.len() + octets, b'x');
    let parts: Vec<_> = section.chunks(16_000).collect();
    for (index, part) in parts.iter().enumerate() {
        let (kind, flags) = match index {
            0 => (HEADERS, END_STREAM),
            _ => (CONTINUATION, 0),
        };
        let end = if index + 1 == parts.len() {
            END_HEADERS
        } else {
            0
        };
        client.send(kind, flags | end, stream, part).await;
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_counted_over_both_versions() {
    let config = with_admin().max_request_head(8192);
    let server = Server::with(config, says("served"));
    server.started().await;
    let field = format!("\r\nx-a: {}\r\n\r\n", "x".repeat(9000));
    let large = get("/").replace("\r\n\r\n", &field);
    assert_eq!(server.ask(large).await.status, 431);
    is_reached(&server, "request_head", 1).await;
    let mut client = RawClient::connect(&server, &[]).await;
    for (stream, octets) in [(1, 9000), (5, 25_000)] {
        send_large_head(&mut client, stream, octets).await;
        let response = client.frame_of(HEADERS).await.unwrap();
        assert_eq!(response.stream, stream);
        client.get(stream + 2, "/").await;
        let response = client.frame_of(HEADERS).await.unwrap();
        assert_eq!(response.stream, stream + 2);
    }
    is_reached(&server, "request_head", 3).await;
    // Four times the limit.
    send_large_head(&mut client, 9, 40_000).await;
    let goaway = client.frame_of(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM);
    is_reached(&server, "request_head", 4).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn streams_without_end_that_the_client_or_the_server_resets_are_counted() {
    const STREAMS: usize = 30;
    let config = with_admin()
        .http2_max_stream_errors(5)
        .http2_max_pending_resets(5);
    let server = Server::with(config, says("served"));
    server.started().await;
    let requests = (1..).step_by(2).take(STREAMS);

    // A header section without a path breaks the protocol.
    let mut client = RawClient::connect(&server, &[]).await;
    for stream in requests.clone() {
        let malformed = &head("GET", "/")[..3];
        client.send_fields(1, stream, malformed).await;
    }
    let goaway = client.frame_of(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM);
    is_reached(&server, "http2_resets", 1).await;

    let mut client = RawClient::connect(&server, &[]).await;
    let mut flood = Vec::new();
    for stream in requests {
        let section = b"\x82\x86\x84\x41\x04test";
        flood.extend(crate::support::http2_frames::frame(
            HEADERS, 5, stream, section,
        ));
        flood.extend(crate::support::http2_frames::frame(
            RST_STREAM,
            0,
            stream,
            &[0, 0, 0, 8],
        ));
    }
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &flood)
        .await
        .ok();
    let goaway = client.frame_of(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM);
    is_reached(&server, "http2_resets", 2).await;
    drop(client);
    server.finish().await;
}
