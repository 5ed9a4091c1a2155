//! Compressed WebSockets: of an application in a server of axum, and of a router on the reference
//! server.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ws::{Message as Frame, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use callgate::{AppError, Feature, ReceiveEvent, Receiver, Scope, Sender, WebSocketAccept};
use callgate_tower::{AppService, PerMessageDeflate, ServiceApp};
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Axum, Server, checked, within};

/// Set in the first octet of a compressed message (RFC 7692, 6).
const COMPRESSED: u8 = 0x40;
const TEXT: u8 = 0x81;

/// Opens a WebSocket that offers compression. Returns the answer as well.
async fn open(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-extensions: permessage-deflate\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap().to_lowercase())
}

/// Sends a message in one frame, and reads a frame: its first octet and its payload.
async fn exchange(stream: &mut TcpStream, first: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    // The masking key is zero.
    frame.extend([0; 4]);
    frame.extend(payload);
    stream.write_all(&frame).await.unwrap();
    let first = within(stream.read_u8()).await.unwrap();
    let length = match stream.read_u8().await.unwrap() {
        126 => stream.read_u16().await.unwrap(),
        length => length.into(),
    };
    let mut payload = vec![0; length.into()];
    within(stream.read_exact(&mut payload)).await.unwrap();
    (first, payload)
}

/// Sends `Hello`, which RFC 7692, 7.2.3.1 compresses, and a long message. Both come back, and the long
/// one is compressed.
async fn expect_compressed_echo(stream: &mut TcpStream) {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let answer = exchange(stream, TEXT | COMPRESSED, hello).await;
    assert_eq!(answer, (TEXT, b"Hello".to_vec()));
    let (first, payload) = exchange(stream, TEXT, "Hello ".repeat(100).as_bytes()).await;
    assert_eq!(first, TEXT | COMPRESSED);
    assert!(payload.len() < 100, "{payload:?}");
    // It comes back as it was sent once more: the payload is the same message.
    let again = exchange(stream, TEXT | COMPRESSED, &payload).await;
    assert_eq!(again, (TEXT | COMPRESSED, payload));
}

/// Sends back each message where the scope lists the feature. Declines elsewhere.
async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_websocket()?;
    let is_compressed = scope.features.contains(Feature::PerMessageDeflate);
    let accept = WebSocketAccept::new().header("x-compressed", is_compressed.to_string());
    sender.send(accept).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_application_in_a_server_of_axum_is_served_with_compression() {
    let service = AppService::new(checked(echo));
    let server = Axum::start(Router::new().fallback_service(service)).await;
    let (mut stream, head) = open(server.address).await;
    let answer = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    assert!(head.contains(answer), "{head}");
    assert!(head.contains("x-compressed: true\r\n"), "{head}");
    expect_compressed_echo(&mut stream).await;
}

#[tokio::test]
async fn the_compression_of_a_service_can_be_switched_off() {
    let service = AppService::new(checked(echo)).per_message_deflate(PerMessageDeflate::Off);
    let server = Axum::start(Router::new().fallback_service(service)).await;
    let (mut stream, head) = open(server.address).await;
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    assert!(head.contains("x-compressed: false\r\n"), "{head}");
    let long = "Hello ".repeat(100);
    let answer = exchange(&mut stream, TEXT, long.as_bytes()).await;
    assert_eq!(answer, (TEXT, long.into_bytes()));
}

#[tokio::test]
async fn the_server_compresses_for_a_router_that_does_not_see_the_offer() {
    async fn handler(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
        assert!(!headers.contains_key("sec-websocket-extensions"));
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Frame::Text(_) | Frame::Binary(_)) {
                    socket.send(message).await.unwrap();
                }
            }
        })
    }
    let router = Router::new().route("/socket", any(handler));
    let server = Server::start(ServiceApp::new(router));
    let (mut stream, head) = open(server.address).await;
    assert!(
        head.contains("sec-websocket-extensions: permessage-deflate"),
        "{head}"
    );
    expect_compressed_echo(&mut stream).await;
    drop(stream);
    server.finish().await;
}
