use callgate_toolkit::test_client::ResponseExt;
use http::StatusCode;
use serde_json::{Value, json};

use crate::started;

#[tokio::test]
async fn every_websocket_gets_the_count_whenever_it_changes() {
    let client = started("counter").await;
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
async fn a_websocket_that_does_not_read_delays_no_other_and_counts_until_it_is_closed() {
    // For a client that does not read, only the first count is queued.
    let client = started("counter").await.queue_capacity(1);
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
async fn two_counters_are_independent() {
    let (one, other) = (started("counter").await, started("counter").await);
    let mut here = one.websocket("/").connect().await.unwrap();
    let mut there = other.websocket("/").connect().await.unwrap();
    assert_eq!(here.text().await.unwrap(), "1");
    assert_eq!(there.text().await.unwrap(), "1");
}

#[tokio::test]
async fn the_page_and_the_websocket_have_the_same_path_and_other_paths_are_not_found() {
    let client = started("counter").await;
    let page = client.get("/").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(!page.text().contains("{{"), "a placeholder was left");
    let missing = client.get("/nowhere").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let error: Value = missing.json().unwrap();
    assert_eq!(error, json!({ "error": "there is nothing at this path" }));
    let refused = client.websocket("/nowhere").connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), StatusCode::NOT_FOUND);
    // A WebSocket that was denied does not count.
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "1");
}
