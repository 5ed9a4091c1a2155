use std::time::Duration;

use callgate::{Receiver, Scope, Sender};
use callgate_toolkit::respond;
use callgate_toolkit::sse::Event;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

#[tokio::test]
async fn events_are_sent_and_the_response_ends_with_them() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            let events = stream::iter([Event::new("one"), Event::json(&[1]).unwrap().name("list")]);
            let response = respond::events(&mut receiver, events).header("x-a", "1");
            response.send(&sender).await
        },
    );
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.text(), "data: one\n\nevent: list\ndata: [1]\n\n");
    TestExchange::of(&response).ended().await.unwrap();
}

#[test]
fn an_event_is_written_line_by_line() {
    let event = Event::new("a\r\nb\rc\n")
        .id("7")
        .retry(Duration::from_secs(2));
    assert_eq!(
        event.to_string(),
        "id: 7\nretry: 2000\ndata: a\ndata: b\ndata: c\ndata: \n\n"
    );
    assert_eq!(Event::new("").to_string(), "data: \n\n");
}

#[test]
#[should_panic(expected = "a text of one line")]
fn an_id_cannot_smuggle_an_event_in() {
    let _ = Event::new("").id("1\ndata: x");
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_filled_with_comments_and_a_client_that_is_gone_ends_it() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            let events = stream::iter([Event::new("one")]).chain(stream::pending());
            let response =
                respond::events(&mut receiver, events).keep_alive(Duration::from_secs(5));
            response.send(&sender).await
        },
    );
    let mut response = client.get("/").stream().await.unwrap();
    let begun = Instant::now();
    let mut parts = Vec::new();
    for _ in 0..3 {
        let part = response.body_mut().chunk().await.unwrap().unwrap();
        parts.push((part, begun.elapsed().as_secs()));
    }
    assert_eq!(
        parts,
        [
            ("data: one\n\n".into(), 0),
            (":\n\n".into(), 5),
            (":\n\n".into(), 10)
        ]
    );
    let exchange = TestExchange::of(&response).clone();
    drop(response);
    exchange.ended().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn without_keep_alive_a_client_that_is_gone_is_noticed_all_the_same() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            let response = respond::events(&mut receiver, stream::pending()).keep_alive(None);
            response.send(&sender).await
        },
    );
    let response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    exchange.disconnect();
    exchange.ended().await.unwrap();
}
