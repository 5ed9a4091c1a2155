//! The budget for what the server buffers: the connection that buffers the most ends, and the others are served.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use callgate::{AppError, Receiver, Scope, Sender};

use crate::metrics::has_lines;
use crate::support::frames::{BINARY, FIN, TEXT, close, frame, open};
use crate::support::http2::{Client, request};
use crate::support::http2_frames::{
    ACK, DATA, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, RawClient, SETTINGS, head,
};
use crate::support::websocket::exclaim;
use crate::support::{Server, config, content, get, whole, within};

/// More than systems hold for a client that does not read, in octets.
const LARGE: usize = 32 << 20;

async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) if scope.raw_path() == "/wait" => std::future::pending().await,
        Scope::Http(scope) if scope.raw_path() == "/receive" => {
            content(&mut receiver).await;
            whole(&sender, "received").await
        }
        Scope::Http(scope) if scope.raw_path().starts_with("/held/") => {
            let octets = scope.raw_path()[6..].parse().unwrap();
            whole(&sender, vec![b'x'; octets]).await
        }
        Scope::Http(scope) if scope.raw_path() == "/large" => {
            whole(&sender, vec![b'x'; LARGE]).await
        }
        Scope::Http(_) => whole(&sender, "served").await,
        Scope::WebSocket(_) => exclaim(receiver, sender).await,
        _ => Err(AppError::Unsupported),
    }
}

async fn server(max_buffered: usize) -> Server {
    let config = config()
        .admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()))
        .max_buffered(NonZeroUsize::new(max_buffered))
        .timeout_disconnect(Duration::from_millis(10));
    let server = Server::with(config, app);
    server.started().await;
    server
}

/// Waits until one connection has ended for its buffers, and has released them.
async fn is_released(server: &Server) {
    let lines = [
        "callgate_limit_reached_total{limit=\"buffered\"} 1",
        "callgate_buffered_bytes 0",
    ];
    has_lines(server, &lines).await;
}

#[tokio::test]
async fn a_websocket_whose_message_needs_too_much_is_closed_with_1013() {
    let server = server(256 << 10).await;
    let mut other = open(&server, "/").await;
    let mut client = open(&server, "/").await;
    client.send(frame(BINARY, vec![0; 200 << 10])).await;
    other.send(frame(BINARY, vec![0; 20 << 10])).await;
    client.send(frame(0, vec![0; 200 << 10])).await;
    assert_eq!(client.close_frame().await.0, 1013);
    client.send(close(1013, "")).await;
    drop(client);
    other.send(frame(FIN, "")).await;
    other.send(frame(FIN | TEXT, "hi")).await;
    while other.frame().await != (FIN | TEXT, b"hi!".to_vec()) {}
    drop(other);
    is_released(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn a_head_for_which_there_is_no_buffer_gets_503() {
    let server = server(16 << 10).await;
    let mut client = server.connect().await;
    let begun = get("/").replace("\r\n\r\n", &format!("\r\nx-a: {}", "x".repeat(60_000)));
    client.send(begun).await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.field("retry-after")),
        (503, Some("1"))
    );
    drop(client);
    assert_eq!(server.ask(get("/")).await.body, "served");
    is_released(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn a_response_that_nobody_takes_is_cut_when_it_needs_too_much() {
    let server = server(1 << 20).await;
    let mut client = server.connect().await;
    client.send(get("/large")).await;
    is_released(&server).await;
    assert_eq!(server.ask(get("/")).await.body, "served");
    assert!(client.rest_octets().await.len() < LARGE);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_of_http2_whose_content_nobody_receives_ends_when_it_needs_too_much() {
    let server = server(128 << 10).await;
    let mut client = RawClient::connect(&server, &[]).await;
    // The windows of the server are in force when its settings are acknowledged.
    client.frame_of(SETTINGS).await.unwrap();
    client.send(SETTINGS, ACK, 0, &[]).await;
    client.send_fields(0, 1, &head("POST", "/wait")).await;
    for _ in 0..20 {
        client.send(DATA, 0, 1, &[0; 16_000]).await;
    }
    assert!(client.frame_of(GOAWAY).await.is_none());
    is_released(&server).await;
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.finish().await;
}

#[tokio::test]
async fn a_connection_of_http2_that_is_quiet_ends_when_its_responses_hold_the_most() {
    let server = server(1 << 20).await;
    let mut clients = Vec::new();
    for octets in [700_000, 500_000] {
        let mut client = RawClient::connect(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        client.get(1, &format!("/held/{octets}")).await;
        client.frame_of(HEADERS).await.unwrap();
        clients.push(client);
    }
    assert!(clients[0].frame_of(DATA).await.is_none());
    has_lines(
        &server,
        &["callgate_limit_reached_total{limit=\"buffered\"} 1"],
    )
    .await;
    clients[1].extend_window(1, 1000).await;
    assert_eq!(clients[1].frame_of(DATA).await.unwrap().payload.len(), 1000);
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn content_over_http2_that_was_received_or_dropped_is_not_buffered() {
    let server = server(700_000).await;
    let mut client = Client::connect(&server).await;
    let (_waits, _content) = client.begin(request("/wait"));
    let (response, mut received) = client.begin(request("/receive"));
    received.send_data(vec![0; 160_000].into(), false).unwrap();
    has_lines(&server, &["callgate_buffered_bytes 0"]).await;
    received.send_data("".into(), true).unwrap();
    within(response).await.unwrap();
    // The application of these does not receive, and the connection goes on.
    for _ in 0..40 {
        let (response, mut dropped) = client.begin(request("/"));
        dropped.send_data(vec![0; 250_000].into(), true).unwrap();
        within(response).await.unwrap();
    }
    has_lines(
        &server,
        &["callgate_limit_reached_total{limit=\"buffered\"} 0"],
    )
    .await;
    drop(client);
    server.stop();
}
