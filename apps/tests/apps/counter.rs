use callgate_toolkit::test_client::ResponseExt;
use http::StatusCode;
use serde_json::{Value, json};

use crate::client;

#[tokio::test]
async fn every_socket_is_told_the_number_whenever_it_changes() {
    let client = client("counter");
    let mut first = client.websocket("/").connect().await.unwrap();
    assert_eq!(first.text().await.unwrap(), "1");
    let mut second = client.websocket("/").connect().await.unwrap();
    assert_eq!(second.text().await.unwrap(), "2");
    assert_eq!(first.text().await.unwrap(), "2");

    second.disconnect();
    assert_eq!(first.text().await.unwrap(), "1");
    second.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_slow_socket_holds_up_nobody_and_counts_until_it_is_gone() {
    // What is held for a socket that does not read is the first count.
    let client = client("counter").queue_capacity(1);
    let slow = client.websocket("/").connect().await.unwrap();

    let mut quick = client.websocket("/").connect().await.unwrap();
    assert_eq!(quick.text().await.unwrap(), "2");
    let third = client.websocket("/").connect().await.unwrap();
    assert_eq!(quick.text().await.unwrap(), "3");

    slow.disconnect();
    assert_eq!(quick.text().await.unwrap(), "2");
    slow.exchange().ended().await.unwrap();
    third.disconnect();
    assert_eq!(quick.text().await.unwrap(), "1");
}

#[tokio::test]
async fn counters_do_not_know_each_other() {
    let (one, other) = (client("counter"), client("counter"));
    let mut here = one.websocket("/").connect().await.unwrap();
    let mut there = other.websocket("/").connect().await.unwrap();
    assert_eq!(here.text().await.unwrap(), "1");
    assert_eq!(there.text().await.unwrap(), "1");
}

#[tokio::test]
async fn its_page_is_where_its_socket_is_and_nothing_else_is_there() {
    let client = client("counter");
    let page = client.get("/").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(!page.text().contains("{{"), "a placeholder was left");
    let missing = client.get("/nowhere").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let error: Value = missing.json().unwrap();
    assert_eq!(error, json!({ "error": "there is nothing at this path" }));
    let refused = client.websocket("/nowhere").connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), StatusCode::NOT_FOUND);
    // Who was refused does not count.
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "1");
}
