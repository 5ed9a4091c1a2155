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
    drop(client);

    let mut client = server.connect().await;
    client
        .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.field("connection"), Some("keep-alive"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keep_alive_time() {
    let mut configured = config();
    configured.timeouts.keep_alive = Duration::from_millis(50);
    let server = Server::with(configured, crate::support::says("x"));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_little_content_that_comes_after_the_response_is_skipped() {
    let server = Server::start(crate::support::says("enough"));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n")
        .await;
    assert_eq!(client.response().await.field("connection"), None);
    client.send("x".repeat(1000) + &get("/")).await;
    assert_eq!(client.response().await.body, "enough");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_response_before_much_content_has_come_says_that_the_connection_ends() {
    let server = Server::start(crate::support::says("enough"));
    for fields in [
        "content-length: 1000000\r\n",
        "content-length: 10\r\nexpect: 100-continue\r\n",
    ] {
        let mut client = server.connect().await;
        client
            .send(format!("POST / HTTP/1.1\r\nhost: test\r\n{fields}\r\n"))
            .await;
        assert_eq!(client.response().await.field("connection"), Some("close"));
        assert_eq!(client.rest().await, "");
    }
    server.finish().await;
}

#[tokio::test]
async fn chunked_content_that_is_not_received_is_skipped_up_to_a_bound() {
    const CHUNK: &str = "400\r\n";
    const LAST: &str = "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let server = Server::start(crate::support::says("enough"));
    let chunks = |count: usize| format!("{CHUNK}{}\r\n", "x".repeat(0x400)).repeat(count);
    for (count, is_answered) in [(32, true), (256, false)] {
        let mut client = server.connect().await;
        client
            .send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        assert_eq!(client.response().await.body, "enough");
        client
            .send(format!("{}0\r\n\r\n{LAST}", chunks(count)))
            .await;
        let rest = client.rest().await;
        assert_eq!(rest.contains("enough"), is_answered, "{count}: {rest}");
    }
    server.finish().await;
}
