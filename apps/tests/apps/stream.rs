use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use callgate::{
    App as _, Channel, HttpRequestBody, HttpScope, ReceiveEvent, Receiver, SendError, SendEvent,
    SendProgress, Sender,
};
use callgate_toolkit::test_client::{Body, ResponseExt, TestExchange};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::{app, client};

/// Returns the number of bytes of content that the application has sent.
fn sent(exchange: &TestExchange) -> usize {
    let transcript = exchange.transcript();
    let parts = transcript.sent().map(|event| match event {
        SendEvent::HttpResponseBody(body) => body.body.len(),
        _ => 0,
    });
    parts.sum()
}

#[tokio::test]
async fn a_download_has_its_length_and_lines_that_say_where_they_are() {
    let client = client("stream");
    for bytes in [0, 1, 16, 65_536, 65_537, 200_000] {
        let target = format!("/download?bytes={bytes}");
        let response = client.get(&target).send().await.unwrap();
        assert_eq!(response.headers()["content-length"], bytes.to_string());
        assert_eq!(response.body().len(), bytes);
        for (line, text) in response.text().split_inclusive('\n').enumerate() {
            let whole = format!("{:015x}\n", line * 16);
            assert_eq!(text, &whole[..text.len()]);
        }
        let head = client.head(&target).send().await.unwrap();
        assert_eq!(head.headers(), response.headers());
        assert_eq!(sent(TestExchange::of(&head)), 0);
    }
    let response = client.get("/download").stream().await.unwrap();
    assert_eq!(response.headers()["content-length"], "1048576");
    let disposition = &response.headers()["content-disposition"];
    assert_eq!(disposition, "attachment; filename=\"download.txt\"");
}

#[tokio::test]
async fn a_download_is_made_no_faster_than_it_is_read() {
    const PART: usize = 64 * 1024;
    let client = client("stream");
    let mut response = client
        .get("/download?bytes=1099511627776")
        .stream()
        .await
        .unwrap();
    let exchange = TestExchange::of(&response).clone();
    let mut read = 0;
    for _ in 0..100 {
        // The application gets this many chances to go on.
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(sent(&exchange) <= read + 2 * PART, "{}", sent(&exchange));
        read += response.body_mut().chunk().await.unwrap().unwrap().len();
    }
    drop(response);
    exchange.ended().await.unwrap();
    assert!(sent(&exchange) <= read + 2 * PART);
}

#[tokio::test(start_paused = true)]
async fn events_come_each_second_with_ids_for_as_long_as_the_client_reads() {
    let client = client("stream");
    let begun = Instant::now();
    let mut response = client.get("/events").stream().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    for number in 1..=100 {
        let event = response.body_mut().chunk().await.unwrap().unwrap();
        let text = format!("id: {number}\nretry: 1000\ndata: This is event {number}.\n\n");
        assert_eq!(event, text);
        assert_eq!(begun.elapsed().as_secs(), number - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_of_a_number_of_events_ends_after_them() {
    let client = client("stream");
    let request = client.get("/events?count=3").header("last-event-id", "7");
    let mut response = request.stream().await.unwrap();
    let events = response.body_mut().rest().await.unwrap();
    let events = str::from_utf8(&events).unwrap();
    let ids: Vec<_> = events
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids, ["8", "9", "10"]);
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_connects_again_gets_the_next_event() {
    let client = client("stream");
    let request = client.get("/events").header("last-event-id", "30");
    let mut response = request.stream().await.unwrap();
    let event = response.body_mut().chunk().await.unwrap().unwrap();
    assert!(event.starts_with(b"id: 31\n"), "{event:?}");

    for id in ["x", "-1", "4294967296"] {
        let request = client.get("/events").header("last-event-id", id);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let error = format!("last-event-id is a whole number from 0 to 4294967295, not {id:?}");
        assert_eq!(response.json::<Value>().unwrap(), json!({ "error": error }));
    }
}

#[tokio::test(start_paused = true)]
async fn comments_are_sent_while_there_is_no_event() {
    let client = client("stream").timeout(Duration::from_secs(60));
    let request = client.get("/events?every=20&count=2");
    let mut response = request.stream().await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = response.body_mut().chunk().await.unwrap() {
        parts.push(part.starts_with(b":"));
    }
    assert_eq!(parts, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn events_end_at_once_with_their_client() {
    let client = client("stream");
    let begun = Instant::now();
    let response = client.get("/events").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    exchange.disconnect();
    exchange.ended().await.unwrap();

    let head = client.head("/events").send().await.unwrap();
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    TestExchange::of(&head).ended().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn events_end_at_http_shutdown_with_the_time_after_which_the_client_connects_again() {
    let client = client("stream");
    let begun = Instant::now();
    let mut response = client.get("/events").stream().await.unwrap();
    let event = response.body_mut().chunk().await.unwrap().unwrap();
    assert!(event.starts_with(b"id: 1\n"), "{event:?}");
    let exchange = TestExchange::of(&response).clone();
    let ending = async { tokio::join!(client.shutdown(), response.body_mut().rest()) };
    let ended = timeout(Duration::from_secs(60), ending).await;
    let (stopped, rest) = ended.expect("the events end");
    stopped.unwrap();
    let rest = rest.unwrap();
    let delay = str::from_utf8(&rest).unwrap().strip_prefix("retry: ");
    let delay: u64 = delay.unwrap().trim_end().parse().unwrap();
    assert!((1000..2000).contains(&delay), "{delay}");
    exchange.ended().await.unwrap();
    // The application did not wait for its next event.
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn an_upload_is_counted_however_it_comes() {
    let client = client("stream");
    for method in [Method::POST, Method::PUT] {
        let request = client.method(method, "/upload").body("seventeen letters");
        let response = request.send().await.unwrap();
        let count: Value = response.json().unwrap();
        assert_eq!(count, json!({ "bytes": 17 }));
    }
    let (content, body) = Body::channel();
    let pending = client.put("/upload").body(body).start();
    for part in ["one ", "", "two ", "three"] {
        content.send(part).await;
    }
    content.finish().await;
    let count: Value = pending.response().await.unwrap().json().unwrap();
    assert_eq!(count, json!({ "bytes": 13 }));
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_ends() {
    let client = client("stream");
    let (content, body) = Body::channel();
    let pending = client.put("/upload").body(body).start();
    content.send("one").await;
    drop(content);
    pending.exchange().ended().await.unwrap();
    assert_eq!(pending.exchange().transcript().sent().count(), 0);
}

/// A channel that uploads 4 GiB and counts the parts that are held.
#[derive(Default)]
struct Uploading {
    received: AtomicUsize,
    held: Arc<AtomicUsize>,
    most_held: AtomicUsize,
    sent: Mutex<Vec<SendEvent>>,
}

/// The memory of every part.
static CONTENT: [u8; 1 << 20] = [0; 1 << 20];

struct Part(Arc<AtomicUsize>);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &CONTENT
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channel for Uploading {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let held = self.held.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_held.fetch_max(held, Ordering::Relaxed);
        let part = Bytes::from_owner(Part(self.held.clone()));
        let received = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        Poll::Ready(ReceiveEvent::HttpRequestBody(HttpRequestBody::new(
            part,
            received < 4096,
        )))
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.sent.lock().unwrap().push(event);
        Ok(SendProgress::Sent)
    }
}

#[tokio::test]
async fn no_more_than_one_part_of_an_upload_is_held() {
    let channel = Arc::new(Uploading::default());
    let scope = HttpScope::new(Method::PUT, "/upload".parse().unwrap());
    let (receiver, sender) = (Receiver::new(channel.clone()), Sender::new(channel.clone()));
    app("stream")
        .call(scope.into(), receiver, sender)
        .await
        .unwrap();
    assert_eq!(channel.received.load(Ordering::Relaxed), 4096);
    assert_eq!(channel.most_held.load(Ordering::Relaxed), 1);
    let sent = channel.sent.lock().unwrap();
    let Some(SendEvent::HttpResponseBody(body)) = sent.last() else {
        panic!("{sent:?}");
    };
    assert_eq!(body.body, r#"{"bytes":4294967296}"#);
}

#[tokio::test]
async fn wrong_queries_paths_and_methods_are_refused_with_a_reason() {
    let client = client("stream");
    for (target, error) in [
        (
            "/download?bytes=x",
            "bytes is a whole number from 0 to 1099511627776, not \"x\"",
        ),
        (
            "/download?bytes=",
            "bytes is a whole number from 0 to 1099511627776, not \"\"",
        ),
        (
            "/download?a=1&bytes=1099511627777",
            "bytes is a whole number from 0 to 1099511627776, not \"1099511627777\"",
        ),
        (
            "/events?every=0",
            "every is a whole number from 1 to 20, not \"0\"",
        ),
        (
            "/events?count=0",
            "count is a whole number from 1 to 4294967295, not \"0\"",
        ),
    ] {
        let response = client.get(target).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(response.json::<Value>().unwrap(), json!({ "error": error }));
    }
    let response = client.get("/nosuch").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    response.json::<Value>().unwrap();
    for (method, target, allowed) in [
        (Method::GET, "/upload", "POST, PUT"),
        (Method::HEAD, "/upload", "POST, PUT"),
        (Method::POST, "/download", "GET, HEAD"),
        (Method::PUT, "/events", "GET, HEAD"),
        (Method::POST, "/", "GET, HEAD"),
    ] {
        let response = client.method(method, target).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], allowed);
    }
}

#[tokio::test]
async fn the_page_tries_all_three_at_addresses_below_itself() {
    let response = client("stream").get("/").send().await.unwrap();
    let page = response.text();
    for address in [
        r#"action="download""#,
        r#"new EventSource("events")"#,
        r#"request.open("POST", "upload")"#,
    ] {
        assert!(page.contains(address), "{address}");
    }
    assert!(!page.contains("{{"), "a placeholder was left");
}
