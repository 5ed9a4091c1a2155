//! A router of axum on the reference server.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use callgate_tower::ServiceApp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Server, within};

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
