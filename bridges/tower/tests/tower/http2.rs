//! HTTP/2 over real sockets, on both kinds of server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message as Frame, WebSocketUpgrade};
use axum::routing::{any, get};
use bytes::Bytes;
use callgate::{
    ReceiveEvent, Receiver, Scope, SendEvent, Sender, WebSocketAccept, WebSocketDisconnect,
};
use callgate_tower::{AppService, ServiceApp};
use futures_util::StreamExt as _;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, Version};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{Axum, Dropped, Server, checked, within};

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = within(TcpStream::connect(address)).await.unwrap();
    let (requests, connection) = within(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    within(requests.ready()).await.unwrap()
}

fn request(path: &str) -> Request<()> {
    let target = format!("http://test.example{path}");
    Request::get(target).body(()).unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_handler_wait() {
    const PART: usize = 16 * 1024;
    const PARTS: usize = 256;
    /// The initial flow-control window of a client, in bytes (RFC 9113, 6.9.2).
    const WINDOW: usize = 65_535;
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let handler = async move || {
        let parts = futures_util::stream::iter(0..PARTS).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(vec![0; PART])
        });
        Body::from_stream(parts)
    };
    let server = Server::start(ServiceApp::new(Router::new().route("/", get(handler))));
    let mut client = connect(server.address).await;
    let (response, _) = client.send_request(request("/"), true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let mut received = 0;
    while received < WINDOW {
        received += within(body.data()).await.unwrap().unwrap().len();
    }
    let made = made.load(Ordering::Relaxed);
    assert!(made < WINDOW / PART + 8, "{made} parts are made");

    body.flow_control().release_capacity(received).unwrap();
    while let Some(data) = within(body.data()).await {
        let length = data.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
        received += length;
    }
    assert_eq!(received, PART * PARTS);
    drop((body, client));
    server.finish().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_has_the_handler_dropped() {
    let (dropped, is_dropped) = Dropped::new();
    let (called, is_called) = oneshot::channel();
    let handed = Arc::new(Mutex::new(Some((dropped, called))));
    let handler = async move || {
        let (_dropped, called) = handed.lock().unwrap().take().unwrap();
        called.send(()).unwrap();
        std::future::pending::<()>().await;
    };
    let server = Server::start(ServiceApp::new(Router::new().route("/", get(handler))));
    let mut client = connect(server.address).await;
    let (_response, mut stream) = client.send_request(request("/"), true).unwrap();
    within(is_called).await.unwrap();
    stream.send_reset(Reason::CANCEL);
    within(is_dropped).await.unwrap();
    drop(client);
    server.finish().await;
}

/// Opens a WebSocket by extended CONNECT (RFC 8441).
async fn open(client: &mut SendRequest<Bytes>) -> (Response<RecvStream>, SendStream<Bytes>) {
    // The server's settings say whether it takes extended CONNECT.
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://test.example/socket")
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "soap, chat")
        .body(())
        .unwrap();
    let (response, stream) = client.send_request(request, false).unwrap();
    (within(response).await.unwrap(), stream)
}

/// Opens a WebSocket, has a message echoed, and closes it with 4001.
async fn talk(address: SocketAddr) {
    let mut client = connect(address).await;
    let (response, mut stream) = open(&mut client).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    let mut body = response.into_body();
    // Masked with zeros, which change nothing (RFC 6455, 5.2).
    let text = [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat();
    stream.send_data(text.into(), false).unwrap();
    let echoed = within(body.data()).await.unwrap().unwrap();
    assert_eq!(echoed, &b"\x81\x05hello"[..]);
    let close = [&[0x88, 0x82, 0, 0, 0, 0][..], &4001_u16.to_be_bytes()].concat();
    stream.send_data(close.into(), false).unwrap();
    let closed = within(body.data()).await.unwrap().unwrap();
    assert_eq!(
        closed,
        [&[0x88, 0x02][..], &4001_u16.to_be_bytes()].concat()
    );
}

#[tokio::test]
async fn a_handler_of_axum_serves_websockets_over_http2() {
    let (report, reported) = oneshot::channel();
    let report = Arc::new(Mutex::new(Some(report)));
    let handler = async move |upgrade: WebSocketUpgrade| {
        upgrade
            .protocols(["chat"])
            .on_upgrade(async move |mut socket| {
                while let Some(Ok(message)) = socket.recv().await {
                    match message {
                        Frame::Text(_) => socket.send(message).await.unwrap(),
                        Frame::Close(frame) => {
                            let report = report.lock().unwrap().take().unwrap();
                            report.send(frame.unwrap().code).unwrap();
                        }
                        _ => {}
                    }
                }
            })
    };
    let router = Router::new().route("/socket", any(handler));
    let server = Server::start(ServiceApp::new(router));
    talk(server.address).await;
    assert_eq!(within(reported).await.unwrap(), 4001);
    server.finish().await;
}

#[tokio::test]
async fn an_application_inside_axum_serves_websockets_over_http2() {
    let (report, reported) = oneshot::channel();
    let report = Arc::new(Mutex::new(Some(report)));
    let app = move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let report = report.clone();
        async move {
            let scope = scope.into_websocket()?;
            assert_eq!(scope.headers["host"], "test.example");
            assert_eq!(scope.uri, "/socket");
            sender
                .send(WebSocketAccept::new().subprotocol("chat"))
                .await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(message) => {
                        sender.send(SendEvent::WebSocketSend(message)).await?;
                    }
                    ReceiveEvent::WebSocketDisconnect(disconnect) => {
                        let report = report.lock().unwrap().take().unwrap();
                        report.send(disconnect).unwrap();
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    };
    let router = Router::new().fallback_service(AppService::new(checked(app)));
    let server = Axum::start(router).await;
    talk(server.address).await;
    assert_eq!(
        within(reported).await.unwrap(),
        WebSocketDisconnect::new(4001)
    );
}
