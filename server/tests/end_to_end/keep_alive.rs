//! How long a connection stays.

use std::time::Duration;

use crate::support::{Server, config, get};

#[tokio::test]
async fn keep_alive_serves_many_and_close_is_honoured() {
    let server = Server::start(crate::support::says("x"));
    let mut client = server.connect().await;
    for _ in 0..50 {
        client.send(get("/")).await;
        assert_eq!(client.response().await.field("connection"), None);
    }
    client
        .send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(client.response().await.field("connection"), Some("close"));
    assert_eq!(client.rest().await, "");

    let mut client = server.connect().await;
    client
        .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.field("connection"), Some("keep-alive"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keep_alive_time() {
    let mut configured = config();
    configured.timeout_keep_alive = Duration::from_millis(50);
    let server = Server::with(configured, crate::support::says("x"));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn a_response_before_the_content_has_come_says_that_the_connection_ends() {
    let server = Server::start(crate::support::says("enough"));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n")
        .await;
    assert_eq!(client.response().await.field("connection"), Some("close"));
    assert_eq!(client.rest().await, "");
    server.finish().await;
}
