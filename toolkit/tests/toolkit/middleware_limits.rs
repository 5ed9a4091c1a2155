//! Middlewares that limit the content of a request and the time of its response.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, HttpResponseTrailers, Message,
    ReceiveEvent, Receiver, Scope, SendError, Sender, WebSocketAccept,
};
use callgate_conformance::Lint;
use callgate_toolkit::middleware::{ContentLimit, Timeout};
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::test_client::{Body, Error, ResponseExt, TestClient, TestExchange};
use callgate_toolkit::{read, respond};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::served::{Served, rest};

const LIMIT: Duration = Duration::from_secs(30);

type Log = Arc<Mutex<Vec<String>>>;

fn client(app: impl App) -> TestClient {
    TestClient::new(Lint::new(app).strict())
}

/// Returns content of these parts without a length.
fn parts(parts: &[&'static str]) -> Body {
    let parts = parts
        .iter()
        .map(|part| Ok::<_, AppError>(Bytes::from(*part)));
    Body::stream(stream::iter(parts.collect::<Vec<_>>()))
}

/// Keeps a log of what it receives, and of what becomes of its sends.
fn logging(log: &Log, starts_first: bool) -> impl App + use<> {
    let log = log.clone();
    move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let log = log.clone();
        async move {
            scope.into_http()?;
            let note = |entry: String| log.lock().unwrap().push(entry);
            if starts_first {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("begun ")).await?;
            }
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(part) => {
                        note(String::from_utf8_lossy(&part.body).into_owned());
                        if !part.more_body {
                            break;
                        }
                    }
                    event => {
                        note(event.type_name().to_owned());
                        break;
                    }
                }
            }
            if !starts_first && let Err(error) = sender.send(HttpResponseStart::ok()).await {
                note(error.to_string());
                return Err(error.into());
            }
            let sent = sender.send(HttpResponseBody::last("done")).await;
            note(
                sent.as_ref()
                    .err()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            );
            Ok::<_, AppError>(sent?)
        }
    }
}

#[tokio::test]
async fn content_that_announces_more_than_the_limit_is_refused_before_the_call() {
    let log = Log::default();
    let app = Lint::new(logging(&log, false)).strict();
    let client = client(ContentLimit::new(app, 4));
    for (content, status) in [("12345", 413), ("1234", 200), ("", 200)] {
        let response = client.post("/").body(content).send().await.unwrap();
        assert_eq!(response.status(), status, "{content}");
        TestExchange::of(&response).ended().await.unwrap();
    }
    assert_eq!(*log.lock().unwrap(), ["1234", "", "", ""]);
    let response = client.post("/").body("12345").send().await.unwrap();
    assert_eq!(
        response.text(),
        "the content is larger than the limit of 4 bytes\n"
    );
}

#[tokio::test]
async fn content_without_a_length_is_refused_at_the_event_that_exceeds_the_limit() {
    let log = Log::default();
    let app = Lint::new(logging(&log, false)).strict();
    let client = client(ContentLimit::new(app, 4));
    let body = parts(&["12", "34", "5"]);
    let response = client.post("/").body(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    TestExchange::of(&response).ended().await.unwrap();
    assert_eq!(
        *log.lock().unwrap(),
        ["12", "34", "http.disconnect", "the client is gone"]
    );
    log.lock().unwrap().clear();
    let body = parts(&["12", "34"]);
    let response = client.post("/").body(body).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text()), (200, "done"));
}

#[tokio::test]
async fn a_response_that_has_started_is_cut_when_the_content_exceeds_the_limit() {
    let log = Log::default();
    let app = Lint::new(logging(&log, true)).strict();
    let client = client(ContentLimit::new(app, 4));
    let body = parts(&["12", "345"]);
    let mut response = client.post("/").body(body).stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    assert_eq!(response.status(), 200);
    let cut = response.body_mut().rest().await;
    assert!(matches!(cut, Err(Error::Cut(_))), "{cut:?}");
    let failure = exchange.ended().await.unwrap_err().to_string();
    assert!(failure.contains("the limit of 4 bytes"), "{failure}");
    assert_eq!(
        *log.lock().unwrap(),
        ["12", "http.disconnect", "the client is gone"]
    );
}

#[tokio::test]
async fn a_response_that_is_complete_stays_so_when_the_content_exceeds_the_limit() {
    let received = Log::default();
    let log = received.clone();
    let app = move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let log = log.clone();
        async move {
            scope.into_http()?;
            respond::text("early").send(&sender).await?;
            let event = receiver.receive().await;
            log.lock().unwrap().push(event.type_name().to_owned());
            Ok::<_, AppError>(())
        }
    };
    let client = client(ContentLimit::new(Lint::new(app).strict(), 1));
    let response = client.post("/").body(parts(&["12"])).send().await.unwrap();
    assert_eq!(response.text(), "early");
    TestExchange::of(&response).ended().await.unwrap();
    assert_eq!(*received.lock().unwrap(), ["http.disconnect"]);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_ignores_the_limit_is_dropped_after_its_grace_period() {
    async fn stubborn(_: Scope, mut receiver: Receiver, _: Sender) -> Result<(), AppError> {
        receiver.receive().await;
        pending().await
    }
    let client = client(ContentLimit::new(stubborn, 1));
    let begun = Instant::now();
    let response = client.post("/").body(parts(&["12"])).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(begun.elapsed().as_secs(), 0);
    TestExchange::of(&response).ended().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn each_route_has_its_own_limit() {
    async fn count(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let content = read::bytes(&mut receiver, 1000).await?;
        respond::text(content.len().to_string()).send(&sender).await
    }
    let app = Mounts::new()
        .mount("", ContentLimit::new(count, 4))
        .mount("/large", ContentLimit::new(count, 10));
    let client = client(app);
    for (path, content, status) in [
        ("/", "1234", 200),
        ("/", "12345", 413),
        ("/large", "1234567890", 200),
        ("/large", "12345678901", 413),
    ] {
        for body in [Body::from(content), parts(&[content])] {
            let response = client.post(path).body(body).send().await.unwrap();
            assert_eq!(response.status(), status, "{path} {content}");
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_its_response_over_a_socket() {
    let served = Served::start(ContentLimit::new(logging(&Log::default(), false), 4));
    for content in [
        "content-length: 5\r\n\r\n12345",
        "content-length: 5\r\nexpect: 100-continue\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ] {
        let mut client = served.request("POST /").await;
        client.write_all(content.as_bytes()).await.unwrap();
        let response = rest(client).await;
        assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_does_not_start_in_time_is_a_503_with_a_reason() {
    async fn slow(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
        let sent = respond::text("too late").send(&sender).await;
        assert!(sent.as_ref().is_err_and(AppError::is_disconnected));
        sent
    }
    for (status, app) in [
        (503, Timeout::new(Lint::new(slow).strict(), LIMIT)),
        (
            504,
            Timeout::new(Lint::new(slow).strict(), LIMIT).status(StatusCode::GATEWAY_TIMEOUT),
        ),
    ] {
        let client = client(app).timeout(LIMIT * 3);
        let begun = Instant::now();
        let response = client.get("/").send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.text(), "The request has taken too long.\n");
        let failure = TestExchange::of(&response).ended().await.unwrap_err();
        assert!(failure.to_string().contains("was not complete after 30s"));
        assert_eq!(begun.elapsed(), LIMIT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_has_started_is_cut_and_never_looks_complete() {
    async fn stalls(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("a part")).await?;
        pending().await
    }
    let app = Timeout::new(Lint::new(stalls).strict(), LIMIT).grace_period(Duration::from_secs(2));
    let client = client(app).timeout(LIMIT * 3);
    let begun = Instant::now();
    let mut response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    let cut = response.body_mut().rest().await;
    assert!(matches!(cut, Err(Error::Cut(_))), "{cut:?}");
    let failure = exchange.ended().await.unwrap_err();
    assert!(failure.to_string().contains("was not complete after 30s"));
    assert_eq!(begun.elapsed(), LIMIT + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn sends_that_wait_fail_when_the_time_is_over() {
    let ended = Log::default();
    let log = ended.clone();
    let app = move |scope: Scope, _: Receiver, sender: Sender| {
        let log = log.clone();
        async move {
            scope.into_http()?;
            sender.send(HttpResponseStart::ok()).await?;
            loop {
                if let Err(error) = sender.send(HttpResponseBody::part("part")).await {
                    log.lock().unwrap().push(error.to_string());
                    return Err(error.into());
                }
            }
        }
    };
    let client = client(Timeout::new(Lint::new(app).strict(), LIMIT)).timeout(LIMIT * 3);
    // The client reads nothing.
    let response = client.get("/").stream().await.unwrap();
    let begun = Instant::now();
    let exchange = TestExchange::of(&response).clone();
    exchange.ended().await.unwrap_err();
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(
        *ended.lock().unwrap(),
        [SendError::Disconnected.to_string()]
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_wait_to_receive_or_to_send_are_woken_when_the_time_is_over() {
    async fn spawns(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        let receiving = tokio::spawn(async move {
            while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
        });
        let sending = tokio::spawn(async move {
            while sender.send(HttpResponseBody::part("part")).await.is_ok() {}
        });
        receiving.await?;
        sending.await?;
        Err(SendError::Disconnected.into())
    }
    let client = client(Timeout::new(Lint::new(spawns).strict(), LIMIT)).timeout(LIMIT * 3);
    // The client reads nothing.
    let response = client.get("/").stream().await.unwrap();
    let begun = Instant::now();
    let exchange = TestExchange::of(&response).clone();
    exchange.ended().await.unwrap_err();
    assert_eq!(begun.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn work_after_the_response_has_no_limit() {
    async fn works(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        respond::text("done").send(&sender).await?;
        tokio::time::sleep(LIMIT * 2).await;
        Ok(())
    }
    async fn has_trailers(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("done")).await?;
        sender
            .send(HttpResponseTrailers::last(HeaderMap::new()))
            .await?;
        tokio::time::sleep(LIMIT * 2).await;
        Ok(())
    }
    let app = Mounts::new()
        .mount("", Timeout::new(works, LIMIT))
        .mount("/trailers", Timeout::new(has_trailers, LIMIT));
    let client = client(app).timeout(LIMIT * 3);
    for path in ["/", "/trailers"] {
        let request = client.get(path).header("te", "trailers");
        let begun = Instant::now();
        let response = request.send().await.unwrap();
        assert_eq!(response.text(), "done");
        TestExchange::of(&response).ended().await.unwrap();
        assert_eq!(begun.elapsed(), LIMIT * 2);
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_that_do_not_come_in_time_cut_the_response() {
    async fn stalls(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("done")).await?;
        pending().await
    }
    let client = client(Timeout::new(stalls, LIMIT)).timeout(LIMIT * 3);
    let request = client.get("/").header("te", "trailers");
    let cut = request.send().await.unwrap_err();
    assert!(matches!(cut, Error::Cut(_)), "{cut:?}");
}

#[tokio::test(start_paused = true)]
async fn of_a_websocket_only_the_handshake_has_a_limit() {
    async fn chat(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_websocket()?;
        if scope.path() == "/slow" {
            receiver.receive().await;
            let event = receiver.receive().await;
            assert_eq!(event.type_name(), "websocket.disconnect");
            return Ok(sender.send(WebSocketAccept::new()).await?);
        }
        sender.send(WebSocketAccept::new()).await?;
        tokio::time::sleep(LIMIT * 2).await;
        Ok(sender.send(Message::text("still open")).await?)
    }
    let client = client(Timeout::new(Lint::new(chat).strict(), LIMIT)).timeout(LIMIT * 3);
    let denied = client.websocket("/slow").connect().await.unwrap_err();
    assert_eq!(denied.response().unwrap().status(), 503);
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "still open");
}
