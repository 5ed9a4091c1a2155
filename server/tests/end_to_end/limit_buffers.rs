//! The budget for what the server buffers: the connection that buffers the most ends, and the others are served.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use callgate::{AppError, Receiver, Scope, Sender};

use crate::metrics::has_lines;
use crate::support::frames::{BINARY, FIN, TEXT, close, frame, open};
use crate::support::http2_frames::{ACK, DATA, GOAWAY, RawClient, SETTINGS, head};
use crate::support::websocket::exclaim;
use crate::support::{Server, config, get, whole};

/// More than systems hold for a client that does not read, in octets.
const LARGE: usize = 32 << 20;

async fn app(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) if scope.raw_path() == "/wait" => std::future::pending().await,
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
        .max_buffered(NonZeroUsize::new(max_buffered));
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
