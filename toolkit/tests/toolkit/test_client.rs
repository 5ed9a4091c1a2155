use std::pin::pin;
use std::sync::Arc;

use callgate::transcript::Entry;
use callgate::{
    AppError, Feature, Features, HttpResponseBody, HttpResponsePathSend, HttpResponseStart,
    HttpResponseTrailers, ReceiveEvent, Receiver, Scheme, Scope, SendError, Sender,
};
use callgate_toolkit::read::{self, disconnected};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Body, Error, ResponseExt, TestClient, TestExchange};
use futures_util::poll;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::sync::Notify;

/// Responds with the request, as the scope and the content describe it.
async fn describe(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let body = read::bytes(&mut receiver, 1024).await?;
    let text = format!(
        "{} {} {:?} {} {:?} {}",
        scope.method,
        scope.uri,
        scope.version,
        scope.scheme,
        scope.root_path,
        String::from_utf8_lossy(&body)
    );
    respond::text(text).send(&sender).await?;
    Ok(())
}

#[tokio::test]
async fn a_request_reaches_the_application_as_a_server_passes_it() {
    let client = TestClient::new(describe).root_path("/caf é");
    let response = client.get("https://a.test:1/x?y=1").send().await.unwrap();
    assert_eq!(
        response.text(),
        "GET /caf%20%C3%A9/x?y=1 HTTP/1.1 https \"/caf é\" "
    );
    let request = Request::post("/").version(Version::HTTP_2).body("hi");
    let response = client.request(request.unwrap()).send().await.unwrap();
    assert_eq!(
        response.text(),
        "POST /caf%20%C3%A9/ HTTP/2.0 http \"/caf é\" hi"
    );
}

#[tokio::test]
async fn the_root_path_is_encoded_as_by_the_server() {
    let client = TestClient::new(describe).root_path("/100%[a\\b]^c|d");
    let response = client.get("/x").send().await.unwrap();
    assert_eq!(
        response.text(),
        "GET /100%25%5Ba%5Cb%5D%5Ec%7Cd/x HTTP/1.1 http \"/100%[a\\\\b]^c|d\" "
    );
}

#[tokio::test]
async fn requests_have_the_header_fields_of_every_client() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let text = format!("{:?}", scope.into_http()?.headers);
        respond::text(text).send(&sender).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    let fields = async |request: callgate_toolkit::test_client::RequestBuilder<'_>| {
        request.send().await.unwrap().text().to_owned()
    };
    assert_eq!(fields(client.get("/")).await, r#"{"host": "localhost"}"#);
    assert_eq!(
        fields(client.get("http://a:1/").header("host", "b")).await,
        r#"{"host": "a:1"}"#
    );
    assert!(
        fields(client.put("/").body("abc"))
            .await
            .contains(r#""content-length": "3""#)
    );
    let (_content, body) = Body::channel();
    assert!(fields(client.put("/").body(body)).await.contains("chunked"));
    let crumbs = client
        .get("/")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    assert!(
        fields(crumbs.version(Version::HTTP_2))
            .await
            .contains("a=1; b=2")
    );
}

#[tokio::test]
async fn a_rejected_request_does_not_reach_the_application() {
    let client = TestClient::new(describe);
    for (method, target, status) in [
        (Method::GET, "/%zz", StatusCode::BAD_REQUEST),
        (Method::GET, "/%4", StatusCode::BAD_REQUEST),
        (Method::GET, "*", StatusCode::BAD_REQUEST),
        (Method::CONNECT, "a.test:443", StatusCode::NOT_IMPLEMENTED),
    ] {
        let response = client.method(method, target).send().await.unwrap();
        assert_eq!(response.status(), status, "{target}");
        let transcript = TestExchange::of(&response).transcript();
        assert!(
            matches!(transcript.entries(), [Entry::Note(_)]),
            "{transcript}"
        );
    }
    let response = client.options("*").send().await.unwrap();
    assert!(response.text().starts_with("OPTIONS *"));
}

#[tokio::test]
async fn a_whole_response_has_a_length_and_one_without_content_has_none() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope.into_http()?.raw_path() {
            "/204" => {
                let response = respond::status(StatusCode::NO_CONTENT);
                response.send(&sender).await?;
            }
            "/stream" => {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("a")).await?;
                sender.send(HttpResponseBody::last("b")).await?;
            }
            _ => respond::bytes("abc").send(&sender).await?,
        }
        Ok(())
    }
    let client = TestClient::new(app);
    for (method, path, length, content) in [
        (Method::GET, "/", Some("3"), "abc"),
        (Method::HEAD, "/", Some("3"), ""),
        (Method::GET, "/204", None, ""),
        (Method::GET, "/stream", None, "ab"),
        (Method::HEAD, "/stream", None, ""),
    ] {
        let response = client.method(method, path).send().await.unwrap();
        let found = response.headers().get("content-length");
        assert_eq!(
            found.map(|length| length.to_str().unwrap()),
            length,
            "{path}"
        );
        assert_eq!(response.text(), content, "{path}");
        TestExchange::of(&response).ended().await.unwrap();
    }
}

#[tokio::test]
async fn content_reaches_the_application_only_as_it_receives() {
    async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        while let ReceiveEvent::HttpRequestBody(request) = receiver.receive().await {
            let part = HttpResponseBody::new(request.body, request.more_body);
            sender.send(part).await?;
        }
        Ok(())
    }
    let client = TestClient::new(app);
    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    content.send("one").await;
    let mut response = pending.stream().await.unwrap();
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "one");

    // The response, the call and the channel hold one part each: there is no room for a fourth.
    for part in ["two", "three", "four"] {
        content.send(part).await;
    }
    let mut fifth = Box::pin(content.send("five"));
    tokio::task::yield_now().await;
    assert!(poll!(&mut fifth).is_pending());
    for part in ["two", "three"] {
        assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), part);
    }
    fifth.await;
    content.finish().await;
    assert_eq!(response.body_mut().rest().await.unwrap(), "fourfive");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn unread_content_of_a_request_is_dropped() {
    async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    for part in ["one", "two", "three"] {
        content.send(part).await;
    }
    content.finish().await;
    assert_eq!(pending.response().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_when_the_application_receives() {
    async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        if scope.path() == "/late" {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("")).await?;
            receiver.receive().await;
        } else {
            if scope.path() != "/refused" {
                receiver.receive().await;
            }
            sender.send(HttpResponseStart::ok()).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    for (path, expect, content, version, is_continued) in [
        ("/", "100-continue", "some", Version::HTTP_11, true),
        ("/", "100-Continue", "some", Version::HTTP_11, true),
        ("/refused", "100-continue", "some", Version::HTTP_11, false),
        // A response is on its way.
        ("/late", "100-continue", "some", Version::HTTP_11, false),
        ("/", "100-continue", "", Version::HTTP_11, false),
        ("/", "something", "some", Version::HTTP_11, false),
        ("/", "100-continue", "some", Version::HTTP_2, false),
    ] {
        let request = client.post(path).version(version).header("expect", expect);
        let response = request.body(content).send().await.unwrap();
        let exchange = TestExchange::of(&response);
        assert_eq!(exchange.is_continued(), is_continued, "{exchange:?}");
        let transcript = exchange.transcript().to_string();
        let continues = transcript.matches("100 Continue").count();
        assert_eq!(continues, usize::from(is_continued), "{transcript}");
    }
}

#[tokio::test]
async fn trailer_fields_go_both_ways_where_they_are_offered() {
    async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        if !scope.features.contains(Feature::ResponseTrailers) {
            respond::text("not offered").send(&sender).await?;
            return Ok(());
        }
        let start = HttpResponseStart::ok()
            .with_trailers()
            .header("trailer", "sum");
        sender.send(start).await?;
        let mut fields = HeaderMap::new();
        while let ReceiveEvent::HttpRequestBody(request) = receiver.receive().await {
            let part = HttpResponseBody::new(request.body, request.more_body);
            sender.send(part).await?;
            if !request.more_body {
                fields = *request.trailers.unwrap_or_default();
                break;
            }
        }
        sender.send(HttpResponseTrailers::last(fields)).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    let response = client.post("/").send().await.unwrap();
    assert_eq!(response.text(), "not offered");

    let mut fields = HeaderMap::new();
    fields.insert("sum", "7".parse().unwrap());
    let body = Body::from("abc").trailers(fields.clone());
    let response = client.post("/").header("te", "trailers").body(body);
    let response = response.send().await.unwrap();
    assert_eq!(response.text(), "abc");
    assert_eq!(response.trailers(), Some(&fields));
}

#[tokio::test]
async fn sends_stay_pending_while_the_client_does_not_read() {
    async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        for _ in 0..10 {
            sender.send(HttpResponseBody::part("x")).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    let mut response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(exchange.transcript().sent().count(), 2);
    assert_eq!(response.body_mut().rest().await.unwrap(), "x".repeat(10));
    exchange.ended().await.unwrap();
}

/// Waits for a disconnect before, within or after its response.
async fn waits(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    match scope.raw_path() {
        "/before" => disconnected(&mut receiver).await,
        "/within" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("")).await?;
            disconnected(&mut receiver).await;
        }
        _ => {
            respond::text("whole").send(&sender).await?;
            disconnected(&mut receiver).await;
            return Ok(());
        }
    }
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_can_go_away_at_any_moment() {
    let client = TestClient::new(waits);

    let pending = client.get("/before").disconnected().start();
    pending.exchange().ended().await.unwrap();
    assert!(matches!(pending.response().await, Err(Error::Disconnected)));

    let pending = client.get("/before").start();
    tokio::task::yield_now().await;
    assert!(!pending.exchange().is_ended());
    pending.exchange().disconnect();
    pending.exchange().ended().await.unwrap();

    let response = client.get("/within").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    assert!(!exchange.is_ended());
    drop(response);
    exchange.ended().await.unwrap();
    assert!(exchange.transcript().to_string().ends_with(
        "received  http.disconnect\n\
         sent      http.response.body \"\" last (failed: the client is gone)\n\
         returned  an error: the client is gone"
    ));

    let response = client.get("/after").send().await.unwrap();
    assert_eq!(response.text(), "whole");
    TestExchange::of(&response).disconnect();
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn content_that_is_lost_is_a_disconnect() {
    async fn app(_: Scope, mut receiver: Receiver, _: Sender) -> Result<(), AppError> {
        read::bytes(&mut receiver, 10).await?;
        Ok(())
    }
    let client = TestClient::new(app);
    let content = futures_util::stream::iter([Ok("part"), Err("lost")]);
    let pending = client.post("/").body(Body::stream(content)).start();
    pending.exchange().ended().await.unwrap();
    assert_eq!(pending.exchange().transcript().received().count(), 2);

    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    content.send("part").await;
    drop(content);
    pending.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn work_after_the_response_is_waited_for_on_request_and_by_shutdown() {
    let gate = Arc::new(Notify::new());
    let opened = gate.clone();
    let client = TestClient::new(move |_: Scope, _: Receiver, sender: Sender| {
        let gate = gate.clone();
        async move {
            respond::text("done").send(&sender).await?;
            gate.notified().await;
            Ok(())
        }
    });
    let first = client.get("/").send().await.unwrap();
    assert!(!TestExchange::of(&first).is_ended());
    opened.notify_one();
    TestExchange::of(&first).ended().await.unwrap();

    let second = client.get("/").send().await.unwrap();
    let exchange = TestExchange::of(&second).clone();
    let mut shutdown = pin!(client.shutdown());
    assert!(poll!(&mut shutdown).is_pending());
    opened.notify_one();
    shutdown.await.unwrap();
    assert!(exchange.is_ended());
}

#[tokio::test]
async fn a_path_send_reads_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "content").unwrap();
    let client = TestClient::new(move |scope: Scope, _: Receiver, sender: Sender| {
        let path = path.clone();
        async move {
            sender.send(HttpResponseStart::ok()).await?;
            let missing = sender
                .send(HttpResponsePathSend::new(path.with_extension("no")))
                .await;
            assert!(matches!(missing, Err(SendError::File { .. })));
            let length = scope.into_http()?.query().parse().unwrap_or(7);
            assert_eq!(std::fs::metadata(&path)?.len(), length);
            sender.send(HttpResponsePathSend::new(path)).await?;
            Ok(())
        }
    });
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "content");
    assert_eq!(response.headers()["content-length"], "7");
    let response = client.head("/").send().await.unwrap();
    assert_eq!(
        (response.text(), &response.headers()["content-length"]),
        ("", &"7".parse().unwrap())
    );
}

#[tokio::test]
async fn the_scope_has_the_settings_of_the_client() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let text = format!(
            "{:?} {:?} {} {:?} {:?}",
            scope.client,
            scope.server,
            scope.scheme,
            scope.features,
            scope.state.get::<u8>()
        );
        respond::text(text).send(&sender).await?;
        Ok(())
    }
    let client = TestClient::new(app)
        .client_address(None)
        .server_address(Some(([10, 0, 0, 1], 8080).into()))
        .scheme(Scheme::Https)
        .features(Features::NONE.with(Feature::Debug))
        .state(7_u8);
    let response = client.get("/").send().await.unwrap();
    assert_eq!(
        response.text(),
        "None Some(10.0.0.1:8080) https {Debug} Some(7)"
    );
    let edited = client
        .get("/")
        .with_scope(|scope| scope.scheme = Scheme::Http);
    assert!(edited.send().await.unwrap().text().contains(" http "));
}
