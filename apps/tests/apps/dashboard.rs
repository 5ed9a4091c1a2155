use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Path, Request};
use axum::routing::get;
use axum::{Json, Router};
use callgate_apps::Settings;
use callgate_apps::dashboard::dashboard;
use callgate_toolkit::test_client::{ResponseExt, TestClient};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use url::Url;

use crate::log::Log;
use crate::upstream::Upstream;

fn client_of(upstream: Url) -> TestClient {
    let mut settings = Settings::default();
    settings.upstream_url = Some(upstream);
    TestClient::new(dashboard(&settings))
}

async fn get_from(client: &TestClient, path: &str) -> (StatusCode, Value) {
    let response = client.get(path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().unwrap())
}

/// Returns the response for `path` when the upstream service sends these bytes for each request and
/// closes the connection.
async fn behind_raw(answer: impl Into<Vec<u8>>, path: &str) -> (StatusCode, Value) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            // The write fails if the client has closed the connection.
            let _ = stream.write_all(&answer).await;
        }
    });
    get_from(&client_of(url.parse().unwrap()), path).await
}

#[tokio::test]
async fn an_item_is_passed_on_byte_for_byte() {
    const ITEM: &str = r#"{"id": 12345678901234567890.10, "z": 1, "a": "é"}"#;
    async fn item(request: Request) -> ([(&'static str, &'static str); 1], &'static str) {
        assert_eq!(request.uri(), "/v1/items/a%20b%2Fc");
        ([("content-type", "application/json")], ITEM)
    }
    let upstream = Upstream::start(Router::new().route("/v1/items/{id}", get(item)));
    for base in ["v1", "v1/"] {
        let client = client_of(upstream.url().join(base).unwrap());
        let response = client.get("/proxy/a%20b%2Fc").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.text(), ITEM);
    }
}

#[tokio::test]
async fn the_three_lists_are_fetched_concurrently() {
    // Each response waits until all three requests have arrived.
    let all = Arc::new(Barrier::new(3));
    let list = async move |Path(name): Path<String>| {
        all.wait().await;
        Json(json!([name]))
    };
    let upstream = Upstream::start(Router::new().route("/{name}", get(list)));
    let client = client_of(upstream.url());
    for path in ["/dashboard", "/dashboard/"] {
        assert_eq!(
            get_from(&client, path).await,
            (
                StatusCode::OK,
                json!({"users": ["users"], "products": ["products"], "sales": ["sales"]})
            )
        );
    }
}

#[tokio::test]
async fn the_first_list_that_fails_is_the_response_and_the_other_requests_are_dropped() {
    struct RecordedRequest(mpsc::UnboundedSender<()>);
    impl Drop for RecordedRequest {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (given_up, mut gone) = mpsc::unbounded_channel();
    let all = Arc::new(Barrier::new(3));
    let list = async move |Path(name): Path<String>| {
        let asked = RecordedRequest(given_up.clone());
        all.wait().await;
        if name == "products" {
            std::mem::forget(asked);
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        std::future::pending().await
    };
    let upstream = Upstream::start(Router::new().route("/{name}", get(list)));
    let client = client_of(upstream.url());
    let log = Log::start();
    assert_eq!(
        get_from(&client, "/dashboard").await,
        (
            StatusCode::BAD_GATEWAY,
            json!({"error": "the list `products` of the upstream service (a shop): it answered with status 500"})
        )
    );
    log.has(
        "ERROR GET /dashboard 502: the list `products` of the upstream service (a shop): it answered with status 500",
    );
    gone.recv().await.unwrap();
    gone.recv().await.unwrap();
}

#[tokio::test]
async fn an_item_that_upstream_does_not_have_is_not_found() {
    let upstream = Upstream::start(Router::new());
    let client = client_of(upstream.url());
    let log = Log::start();
    assert_eq!(
        get_from(&client, "/proxy/7").await,
        (
            StatusCode::NOT_FOUND,
            json!({"error": "there is no item `7`"})
        )
    );
    log.has("DEBUG GET /proxy/7 404: there is no item `7`");
    // A missing list is an error of the upstream service.
    let (status, _) = get_from(&client, "/dashboard").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn an_item_cannot_lead_out_of_the_items() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let routes = Router::new().fallback(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        Json(json!("a secret"))
    });
    let upstream = Upstream::start(routes);
    let client = client_of(upstream.url());
    for segment in ["..", "%2e%2E", "%2e", ".%09.", ".%0A.", "%0d.", "4%092"] {
        let path = format!("/proxy/{segment}");
        let (status, _) = get_from(&client, &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_upstream_that_fails_or_cannot_be_understood_is_a_bad_gateway() {
    let deep = "[".repeat(10_000);
    let large = format!("\"{}\"", "x".repeat(5 * 1024 * 1024));
    let with_length = |content: &str| {
        let length = content.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{content}")
    };
    for (answer, reason) in [
        (String::new(), "cannot be reached"),
        ("Hello!\r\n\r\n".to_owned(), "cannot be reached"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1".to_owned(),
            "cannot be reached",
        ),
        (with_length("<p>Hello</p>"), "its answer cannot be read"),
        (with_length(""), "its answer cannot be read"),
        (with_length(&deep), "its answer cannot be read"),
        (with_length(&large), "more than 4194304 bytes"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            "status 302",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "status 401",
        ),
    ] {
        for path in ["/proxy/7", "/dashboard"] {
            let shown = answer.get(..80).unwrap_or(&answer);
            let (status, content) = behind_raw(answer.clone(), path).await;
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{path}: {shown}");
            let error = content["error"].as_str().unwrap();
            assert!(error.contains(reason), "{path}: {shown}: {error}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway_and_the_log_says_why() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = client_of(url.parse().unwrap());
    let log = Log::start();
    assert_eq!(
        get_from(&client, "/proxy/7").await,
        (
            StatusCode::BAD_GATEWAY,
            json!({"error": "the upstream service (a shop): it cannot be reached"})
        )
    );
    let text = log.text();
    let reason = "GET /proxy/7 502: the upstream service (a shop): it cannot be reached: ";
    assert!(text.contains(reason) && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn the_credentials_of_a_url_are_in_no_response_and_no_line_of_the_log() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:5ecret@{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = client_of(url.parse().unwrap());
    let log = Log::start();
    for path in ["/proxy/7", "/dashboard"] {
        let (_, content) = get_from(&client, path).await;
        assert!(!content.to_string().contains("5ecret"), "{content}");
    }
    let text = log.text();
    assert!(
        text.contains("refused") && !text.contains("5ecret"),
        "{text}"
    );
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_gateway_time_out() {
    let routes = Router::new()
        .route("/{name}", get(std::future::pending::<()>))
        .route("/items/{id}", get(std::future::pending::<()>));
    let upstream = Upstream::start(routes);
    let mut settings = Settings::default();
    settings.upstream_url = Some(upstream.url());
    settings.upstream_timeout = Some(Duration::from_millis(50));
    let client = TestClient::new(dashboard(&settings));
    for path in ["/proxy/7", "/dashboard"] {
        let (status, content) = get_from(&client, path).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{path}");
        let error = content["error"].as_str().unwrap();
        assert!(error.ends_with("it did not answer in time"), "{error}");
    }
}

#[tokio::test]
async fn without_the_setting_a_stand_in_answers_and_the_root_and_the_log_say_so() {
    let client = crate::client("dashboard");
    let log = Log::start();
    let (status, overview) = get_from(&client, "/dashboard").await;
    assert_eq!(status, StatusCode::OK);
    for list in ["users", "products", "sales"] {
        assert_ne!(overview[list].as_array().unwrap().len(), 0, "{list}");
    }
    let (status, item) = get_from(&client, "/proxy/42").await;
    assert_eq!((status, &item["name"]), (StatusCode::OK, &json!("Towel")));
    let (status, missing) = get_from(&client, "/proxy/7").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(missing["error"], "there is no item `7`");

    let notice = "A stand-in inside this program answers for the upstream service (a shop). `--upstream-url` or \
                  `UPSTREAM_URL` names the real one.";
    assert_eq!(log.text().matches(notice).count(), 1, "{}", log.text());
    let (status, index) = get_from(&client, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        index["routes"],
        json!(["GET /proxy/{item_id}", "GET /dashboard"])
    );
    assert_eq!(index["stand_in"], notice);
}

#[tokio::test]
async fn with_the_setting_the_root_has_no_word_of_a_stand_in() {
    let upstream = Upstream::start(Router::new());
    let (_, index) = get_from(&client_of(upstream.url()), "/").await;
    assert_eq!(index.get("stand_in"), None);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_answered_in_json_with_a_line_in_the_log() {
    let client = crate::client("gallery");
    let log = Log::start();
    let response = client.get("/dashboard/no/such").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        response.json::<Value>().unwrap(),
        json!({"error": "there is nothing at this path"})
    );
    log.has("DEBUG GET /dashboard/no/such 404: there is nothing at this path");

    let response = client.delete("/dashboard/dashboard").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(
        response.json::<Value>().unwrap(),
        json!({"error": "this path does not take this method"})
    );
    log.has("DEBUG DELETE /dashboard/dashboard 405: this path does not take this method");
}

#[tokio::test]
async fn text_from_outside_makes_no_lines_of_its_own_in_the_log() {
    let upstream = Upstream::start(Router::new());
    let client = client_of(upstream.url());
    let log = Log::start();
    get_from(&client, "/proxy/a%0AERROR%20b%1b%5B31m").await;
    log.has(
        "DEBUG GET /proxy/a%0AERROR%20b%1b%5B31m 404: there is no item `a\\nERROR b\\u{1b}[31m`",
    );
}
