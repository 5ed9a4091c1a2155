//! A router of axum as an application: requests and responses.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body as AxumBody;
use axum::extract::{ConnectInfo, OriginalUri, Path};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use callgate::{AppError, State};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::test_client::{Body, Failure, ResponseExt, TestClient, TestExchange};
use callgate_tower::{Resource, ScopeInfo, ServiceApp};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Channel};

use tokio::sync::oneshot;

use crate::support::{Dropped, checked, client, settled, within};

fn transcript<B>(response: &http::Response<B>) -> String {
    TestExchange::of(response).transcript().to_string()
}

#[tokio::test]
async fn a_whole_response_is_one_start_and_one_body() {
    let client = client(Router::new().route("/", get(async || "Hello")));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "Hello");
    TestExchange::of(&response).ended().await.unwrap();
    assert_eq!(
        transcript(&response),
        "called    http GET / HTTP/1.1 {host: localhost}\n\
         received  http.request \"\" last\n\
         sent      http.response.start 200 {content-type: text/plain; charset=utf-8, content-length: 5}\n\
         sent      http.response.body \"Hello\" last\n\
         returned"
    );
}

#[tokio::test]
async fn extractors_see_the_request() {
    async fn handler(Path(id): Path<u32>, Json(names): Json<Vec<String>>) -> Json<String> {
        Json(format!("{id}: {}", names.join(", ")))
    }
    let client = client(Router::new().route("/orders/{id}", post(handler)));
    let request = client.post("/orders/7").json(&["a", "b"]);
    let response = request.send().await.unwrap();
    assert_eq!(response.json::<String>().unwrap(), "7: a, b");
}

#[tokio::test]
async fn content_is_received_when_the_handler_reads_it_and_not_before() {
    let handler = async |mut body: AxumBody| {
        let first = body.frame().await.unwrap().unwrap();
        first.into_data().unwrap()
    };
    let client = client(Router::new().route("/", post(handler)));
    let content = Body::stream(futures_util::stream::iter(
        ["one", "two", "three"].map(Ok::<_, Infallible>),
    ));
    let response = client.post("/").body(content).send().await.unwrap();
    assert_eq!(response.text(), "one");
    let transcript = transcript(&response);
    assert_eq!(transcript.matches("received").count(), 1, "{transcript}");
}

#[tokio::test]
async fn nothing_is_received_while_the_handler_does_not_read() {
    let (read, may_read) = oneshot::channel::<()>();
    let may_read = Arc::new(Mutex::new(Some(may_read)));
    let handler = async move |body: AxumBody| {
        let may_read = may_read.lock().unwrap().take().unwrap();
        may_read.await.unwrap();
        body.collect().await.unwrap().to_bytes()
    };
    let client = client(Router::new().route("/", post(handler)));
    let pending = client.post("/").body("content").start();
    settled().await;
    let transcript = pending.exchange().transcript().to_string();
    assert!(!transcript.contains("received"), "{transcript}");
    read.send(()).unwrap();
    assert_eq!(pending.response().await.unwrap().text(), "content");
}

#[tokio::test]
async fn a_body_says_how_long_it_is() {
    let handler = async |body: AxumBody| {
        let hint = http_body::Body::size_hint(&body);
        format!(
            "{} {:?}",
            http_body::Body::is_end_stream(&body),
            hint.exact()
        )
    };
    let client = client(Router::new().route("/", any(handler)));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let none = client.get("/").version(version).send().await.unwrap();
        assert_eq!(none.text(), "true Some(0)");
        let some = client.post("/").version(version).body("content");
        assert_eq!(some.send().await.unwrap().text(), "false Some(7)");
        let (_content, body) = Body::channel();
        let unknown = client.post("/").version(version).body(body);
        assert_eq!(unknown.send().await.unwrap().text(), "false None");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_handler_wait() {
    const PARTS: usize = 16;
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let handler = async move || {
        let parts = futures_util::stream::iter(0..PARTS).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>("part")
        });
        AxumBody::from_stream(parts)
    };
    let client = client(Router::new().route("/", get(handler)));
    let mut response = client.get("/").stream().await.unwrap();
    for received in 0..PARTS {
        settled().await;
        let ahead = made.load(Ordering::Relaxed) - received;
        assert!((1..=2).contains(&ahead), "{ahead} parts are held");
        let part = response.body_mut().chunk().await.unwrap().unwrap();
        assert_eq!(part, "part");
    }
    assert_eq!(response.body_mut().rest().await.unwrap(), "");
}

#[tokio::test]
async fn content_streams_both_ways_at_the_same_time() {
    let echo = async |body: AxumBody| body;
    let client = client(Router::new().route("/", post(echo)));
    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    content.send("one ").await;
    let mut response = pending.stream().await.unwrap();
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "one ");
    content.send("two ").await;
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "two ");
    content.finish().await;
    assert_eq!(response.body_mut().rest().await.unwrap(), "");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn trailer_fields_of_the_request_come_after_its_content() {
    async fn handler(body: AxumBody) -> String {
        let collected = body.collect().await.unwrap();
        format!("{:?}", collected.trailers().unwrap()["checksum"])
    }
    let client = client(Router::new().route("/", post(handler)));
    let mut fields = HeaderMap::new();
    fields.insert("checksum", "abc".parse().unwrap());
    let body = Body::from("content").trailers(fields);
    let response = client.post("/").body(body).send().await.unwrap();
    assert_eq!(response.text(), "\"abc\"");
}

/// Answers with content, and then two trailer fields.
fn with_trailers() -> Router {
    let handler = async || {
        let (mut sender, body) = Channel::<Bytes>::new(4);
        tokio::spawn(async move {
            let mut fields = HeaderMap::new();
            fields.insert("checksum", "abc".parse().unwrap());
            fields.insert("other", "def".parse().unwrap());
            sender.send_data("content".into()).await.unwrap();
            sender.send_trailers(fields).await.unwrap();
        });
        ([("trailer", "Checksum")], AxumBody::new(body))
    };
    Router::new().route("/", get(handler))
}

async fn trailers_over(version: Version, te: &str) -> Option<HeaderMap> {
    let client = client(with_trailers());
    let request = client.get("/").version(version).header("te", te);
    let mut response = request.stream().await.unwrap();
    assert_eq!(response.body_mut().rest().await.unwrap(), "content");
    TestExchange::of(&response).ended().await.unwrap();
    response.body().trailers().cloned()
}

#[tokio::test]
async fn trailer_fields_of_the_response_are_sent_where_they_can_be() {
    let all = trailers_over(Version::HTTP_2, "").await.unwrap();
    assert_eq!(
        (&all["checksum"], &all["other"]),
        (&"abc".parse().unwrap(), &"def".parse().unwrap())
    );
    // HTTP/1.1 has only those that were named, and only for a client that wants them.
    let named = trailers_over(Version::HTTP_11, "trailers").await.unwrap();
    assert_eq!(
        (named.len(), &named["checksum"]),
        (1, &"abc".parse().unwrap())
    );
    assert_eq!(trailers_over(Version::HTTP_11, "").await, None);
}

#[tokio::test]
async fn the_head_of_a_stream_goes_out_before_its_first_frame() {
    let handler = async || {
        AxumBody::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())
    };
    let client = client(Router::new().route("/", get(handler)));
    let response = client.get("/").stream().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_fails_cuts_the_response() {
    let handler = async || {
        let parts = [Ok("one"), Err(std::io::Error::other("the disk is gone"))];
        AxumBody::from_stream(futures_util::stream::iter(parts))
    };
    let client = client(Router::new().route("/", get(handler)));
    let mut response = client.get("/").stream().await.unwrap();
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "one");
    response.body_mut().rest().await.unwrap_err();
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Error(error) if error.to_string().contains("the disk is gone")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_service_that_fails_is_a_500() {
    let service = tower::service_fn(async |_: http::Request<callgate_tower::RequestBody>| {
        Err::<http::Response<String>, _>(std::io::Error::other("no such table"))
    });
    let client = TestClient::new(checked(ServiceApp::new(service)));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Error(error) if error.to_string() == "no such table"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_has_the_handler_dropped() {
    let (dropped, is_dropped) = Dropped::new();
    let (called, is_called) = oneshot::channel();
    let handed = Mutex::new(Some((dropped, called)));
    let handed = Arc::new(handed);
    let handler = async move || {
        let (_dropped, called) = handed.lock().unwrap().take().unwrap();
        called.send(()).unwrap();
        std::future::pending::<()>().await;
    };
    let client = client(Router::new().route("/", get(handler)));
    let pending = client.get("/").start();
    within(is_called).await.unwrap();
    pending.exchange().disconnect();
    within(is_dropped).await.unwrap();
    pending.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn fields_of_the_connection_are_left_out() {
    let handler = async || {
        (
            [
                ("connection", "keep-alive"),
                ("keep-alive", "timeout=5"),
                ("x-kept", "yes"),
            ],
            "text",
        )
    };
    let client = client(Router::new().route("/", get(handler)));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.headers()["x-kept"], "yes");
    assert!(!response.headers().contains_key("connection"));
    assert!(!response.headers().contains_key("keep-alive"));
}

#[tokio::test]
async fn a_response_that_may_have_no_content_has_none() {
    let router = Router::new()
        .route("/none", any(async || (StatusCode::NO_CONTENT, "text")))
        .route("/reset", any(async || (StatusCode::RESET_CONTENT, "text")))
        .route(
            "/same",
            any(async || (StatusCode::NOT_MODIFIED, [("content-length", "9")])),
        )
        .route("/text", any(async || "text"));
    let client = client(router);
    for (method, target, length) in [
        ("GET", "/none", None),
        ("GET", "/reset", Some("0")),
        ("GET", "/same", Some("9")),
        ("HEAD", "/text", Some("4")),
    ] {
        let request = client.method(method.parse().unwrap(), target);
        let response = request.send().await.unwrap();
        let found = response.headers().get("content-length");
        assert_eq!(
            found.map(|length| length.to_str().unwrap()),
            length,
            "{target}"
        );
        assert_eq!(response.text(), "", "{target}");
        TestExchange::of(&response).ended().await.unwrap();
    }
}

#[tokio::test]
async fn handlers_see_who_the_client_is_and_where_they_are_mounted() {
    async fn handler(
        ConnectInfo(client): ConnectInfo<SocketAddr>,
        Extension(info): Extension<ScopeInfo>,
        OriginalUri(original): OriginalUri,
        uri: Uri,
    ) -> String {
        format!(
            "{client} {} {} {original} {uri}",
            info.server.unwrap(),
            info.root_path
        )
    }
    let router = Router::new().route("/users", get(handler));
    let client = client(router).root_path("/api");
    let response = client.get("/users?page=2").send().await.unwrap();
    assert_eq!(
        response.text(),
        "127.0.0.1:50000 127.0.0.1:80 /api /api/users?page=2 /users?page=2"
    );
}

#[tokio::test]
async fn a_resource_of_the_start_up_reaches_the_handlers() {
    async fn open() -> Result<&'static str, AppError> {
        Ok("the pool")
    }
    async fn close(_: &'static str) -> Result<(), AppError> {
        Ok(())
    }
    async fn handler(
        Resource(pool): Resource<&'static str>,
        Extension(state): Extension<State>,
    ) -> String {
        assert_eq!(state.get::<&str>(), Some(&pool));
        pool.to_owned()
    }
    let router = Router::new()
        .route("/", get(handler))
        .route("/other", get(async |_: Resource<u8>| ()));
    let app = with_resource(ServiceApp::new(router), open, close);
    let client = TestClient::start(checked(app)).await.unwrap();
    assert_eq!(client.get("/").send().await.unwrap().text(), "the pool");
    let missing = client.get("/other").send().await.unwrap();
    assert_eq!(missing.text(), "start-up has put no `u8` into the state\n");
    client.shutdown().await.unwrap();
}
