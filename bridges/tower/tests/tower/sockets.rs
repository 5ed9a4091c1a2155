//! A router of axum on the reference server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use callgate_tower::ServiceApp;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{Dropped, Server, within};

#[tokio::test]
async fn a_router_runs_unchanged_on_the_reference_server() {
    async fn handler(ConnectInfo(client): ConnectInfo<SocketAddr>) -> String {
        client.to_string()
    }
    let router = Router::new().route("/", get(handler));
    let server = Server::start(ServiceApp::new(router));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    let address = stream.local_addr().unwrap().to_string();
    let length = format!("content-length: {}\r\n", address.len());
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains(&length), "{response}");
    assert!(
        response.ends_with(&format!("\r\n\r\n{address}")),
        "{response}"
    );
    drop(stream);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_that_is_lost_has_the_handler_dropped() {
    let (dropped, is_dropped) = Dropped::new();
    let (called, is_called) = oneshot::channel();
    let handed = Arc::new(Mutex::new(Some((dropped, called))));
    let handler = async move || {
        let (_dropped, called) = handed.lock().unwrap().take().unwrap();
        called.send(()).unwrap();
        std::future::pending::<()>().await;
    };
    let server = Server::start(ServiceApp::new(Router::new().route("/", get(handler))));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    within(is_called).await.unwrap();
    drop(stream);
    within(is_dropped).await.unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_client_is_told_to_continue_when_the_handler_reads_and_only_then() {
    let router = Router::new()
        .route("/reads", post(async |content: Bytes| content))
        .route("/refuses", post(async || StatusCode::PAYLOAD_TOO_LARGE));
    let server = Server::start(ServiceApp::new(router));
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-length: 4\r\nexpect: 100-continue\r\n\r\n"
        )
    };
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head("/reads").as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ping").await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert!(response.ends_with("\r\n\r\nping"), "{response}");
    drop(stream);

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head("/refuses").as_bytes()).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    drop(stream);
    server.finish().await;
}
