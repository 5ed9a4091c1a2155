//! HTTP/2 by prior knowledge: what differs from HTTP/1.1 for a client and for an application.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use crate::support::http2::{Client, request, text};
use crate::support::{Gate, OnDrop, Server, config, content, http, tell, whole, within};
use bytes::Bytes;
use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart,
    HttpResponseTrailers, HttpScope, ReceiveEvent, Receiver, SendEvent, Sender,
};
use h2::Reason;
use http::{HeaderMap, Method, Request, StatusCode, Version};

#[tokio::test]
async fn scope_09_to_12_pseudo_fields_and_cookies() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, scope, _, sender| {
        teller.tell(scope);
        whole(&sender, "x").await
    }));
    let mut client = Client::connect(&server).await;
    let request = Request::builder()
        .method("PURGE")
        .uri("http://test.example:81/a%20b?c=%zz")
        .header("cookie", "a=1")
        .header("x-many", "1")
        .header("cookie", "b=2; c=3")
        .header("x-many", "2")
        .body(())
        .unwrap();
    let (response, _) = client.requests.send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    let scope = told.next().await;
    assert_eq!(scope.version, Version::HTTP_2);
    assert_eq!(scope.method.as_str(), "PURGE");
    assert_eq!(scope.uri, "/a%20b?c=%zz");
    assert_eq!(scope.headers["host"], "test.example:81");
    let cookies: Vec<_> = scope.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
    let many: Vec<_> = scope.headers.get_all("x-many").iter().collect();
    assert_eq!(many, ["1", "2"]);
    assert_eq!(scope.headers.len(), 4);
    assert!(scope.features.contains(Feature::ResponseTrailers));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_26_a_response_without_content_says_so() {
    let server = Server::start(crate::support::says(""));
    let mut client = Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    assert_eq!(response.headers()["content-length"], "0");
    let head = Request::head("http://test.example/").body(()).unwrap();
    let (response, _) = client.requests.send_request(head, true).unwrap();
    let response = within(response).await.unwrap();
    // Nobody knows what the content would have been.
    assert!(!response.headers().contains_key("content-length"));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn scope_05_and_21_bad_targets_and_connect_are_refused() {
    let (teller, told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        teller.tell(());
        whole(&sender, "x").await
    }));
    let mut client = Client::connect(&server).await;
    assert_eq!(client.get("/%zz").await.unwrap().status(), 400);
    let connect = Request::connect("test.example:80").body(()).unwrap();
    let (response, _) = client.requests.send_request(connect, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 501);
    assert!(told.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_01_and_06_content_and_trailers_are_delivered() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        let (content, last) = content(&mut receiver).await.unwrap();
        teller.tell(last.trailers);
        whole(&sender, content).await
    }));
    let mut client = Client::connect(&server).await;
    let (response, mut body) = client.begin(request("/"));
    body.send_data("one, ".into(), false).unwrap();
    body.send_data("two".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    body.send_trailers(trailers.clone()).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(response.headers()["content-length"], "8");
    assert_eq!(text(response.into_body()).await.unwrap(), "one, two");
    assert_eq!(told.next().await.as_deref(), Some(&trailers));

    assert_eq!(client.text("/").await, "");
    assert_eq!(told.next().await, None);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_04_content_that_is_not_received_holds_the_client_back() {
    let gate = Gate::new();
    let server = Server::start(http(
        gate.clone(),
        async |gate: Gate, _, mut receiver, sender| {
            gate.passed().await;
            let (content, _) = content(&mut receiver).await.unwrap();
            whole(&sender, content.len().to_string()).await
        },
    ));
    let mut client = Client::connect(&server).await;
    let (response, mut body) = client.begin(request("/"));
    const TOTAL: usize = 16 << 20;
    let mut sent = 0;
    let mut is_open = false;
    while sent < TOTAL {
        body.reserve_capacity(TOTAL - sent);
        let capacity = poll_fn(|cx| body.poll_capacity(cx));
        let capacity = if is_open {
            within(capacity).await
        } else {
            // On a busy machine less is taken in.
            match tokio::time::timeout(Duration::from_millis(500), capacity).await {
                Ok(capacity) => capacity,
                Err(_) => {
                    assert!(sent <= TOTAL / 2, "{sent} bytes were taken in");
                    is_open = true;
                    gate.open();
                    continue;
                }
            }
        };
        let capacity = capacity.unwrap().unwrap();
        body.send_data(vec![0; capacity].into(), false).unwrap();
        sent += capacity;
    }
    assert!(is_open, "everything was taken in");
    body.send_data(Bytes::new(), true).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(text(response.into_body()).await.unwrap(), TOTAL.to_string());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_07_and_09_a_reset_stream_is_a_disconnect_and_the_connection_goes_on() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, scope, mut receiver, sender| {
        match scope.raw_path() {
            "/usable" => return whole(&sender, "usable").await,
            "/started" => sender.send(HttpResponseStart::ok()).await?,
            "/streaming" => {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("x")).await?;
            }
            _ => {}
        }
        teller.tell("ready".to_owned());
        teller.tell(format!("{:?}", receiver.receive().await));
        let sent = match scope.raw_path() {
            "/waiting" => sender.send(HttpResponseStart::ok()).await,
            _ => sender.send(HttpResponseBody::end()).await,
        };
        teller.tell(format!("{sent:?}"));
        Ok(sent?)
    }));
    let mut client = Client::connect(&server).await;
    for target in ["/waiting", "/started", "/streaming"] {
        for reason in [Reason::CANCEL, Reason::NO_ERROR] {
            // The content is not complete when the stream is reset.
            let (response, mut body) = client.begin(request(target));
            assert_eq!(told.next().await, "ready");
            body.send_reset(reason);
            assert_eq!(told.next().await, "HttpDisconnect", "{target} {reason}");
            assert_eq!(told.next().await, "Err(Disconnected)", "{target} {reason}");
            drop(response);
            assert_eq!(client.text("/usable").await, "usable");
        }
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_09_a_lost_connection_disconnects_every_exchange() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, _| {
        content(&mut receiver).await;
        teller.tell(None);
        teller.tell(Some(receiver.receive().await));
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let mut responses = Vec::new();
    for _ in 0..10 {
        let (response, _) = client.requests.send_request(request("/"), true).unwrap();
        responses.push(response);
    }
    for _ in 0..10 {
        assert_eq!(told.next().await, None);
    }
    client.connection.abort();
    for _ in 0..10 {
        assert_eq!(told.next().await, Some(ReceiveEvent::HttpDisconnect));
    }
    server.finish().await;
}

#[tokio::test]
async fn http_24_head_has_the_fields_and_no_content() {
    let server = Server::start(http((), async |(), _, _, sender| {
        whole(&sender, "content").await
    }));
    let mut client = Client::connect(&server).await;
    let mut head = request("/");
    *head.method_mut() = Method::HEAD;
    let (response, _) = client.requests.send_request(head, true).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(response.headers()["content-length"], "7");
    assert_eq!(text(response.into_body()).await.unwrap(), "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_27_and_28_a_streamed_response_flushes_its_head_and_ends() {
    let gate = Gate::new();
    let server = Server::start(http(gate.clone(), async |gate: Gate, _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("")).await?;
        gate.passed().await;
        sender.send(HttpResponseBody::part("one, ")).await?;
        sender.send(HttpResponseBody::last("two")).await?;
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    assert_eq!(response.headers().get("content-length"), None);
    assert_eq!(response.headers().get("transfer-encoding"), None);
    gate.open();
    assert_eq!(text(response.into_body()).await.unwrap(), "one, two");
    drop(client);
    server.finish().await;
}

/// Goes as far as the first segment of the path says, and ends as the second does.
async fn end_in_phase(
    (): (),
    scope: HttpScope,
    _: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let (phase, end) = scope.raw_path()[1..].split_once('/').unwrap();
    if phase != "waiting" {
        sender.send(HttpResponseStart::ok()).await?;
    }
    if phase == "streaming" {
        sender.send(HttpResponseBody::part("begun")).await?;
    }
    match end {
        "returns" => Ok(()),
        "fails" => Err(AppError::failed("secret")),
        "starts" => Ok(sender
            .send(HttpResponseStart::new(StatusCode::CONTINUE))
            .await?),
        _ => panic!("secret"),
    }
}

#[tokio::test]
async fn http_32_and_33_a_failure_is_500_or_a_reset_of_its_stream_alone() {
    let server = Server::start(http((), end_in_phase));
    let mut client = Client::connect(&server).await;
    for end in ["returns", "fails", "starts", "panics"] {
        for phase in ["waiting", "started"] {
            let response = client.get(&format!("/{phase}/{end}")).await.unwrap();
            assert_eq!(response.status(), 500);
            let body = text(response.into_body()).await.unwrap();
            assert!(!body.contains("secret"));
        }
        let response = client.get(&format!("/streaming/{end}")).await.unwrap();
        let error = text(response.into_body()).await.unwrap_err();
        assert_eq!(
            error.reason(),
            Some(Reason::INTERNAL_ERROR),
            "{end}: {error}"
        );
    }
    assert!(!client.connection.is_finished());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_35_exchanges_run_side_by_side() {
    let gate = Gate::new();
    let server = Server::start(http(gate.clone(), async |gate: Gate, scope, _, sender| {
        if scope.raw_path() == "/waits" {
            gate.passed().await;
        }
        whole(&sender, scope.raw_path().to_owned()).await?;
        if scope.raw_path() == "/works" {
            gate.passed().await;
        }
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let (waits, _) = client
        .requests
        .send_request(request("/waits"), true)
        .unwrap();
    assert_eq!(client.text("/next").await, "/next");
    gate.open();
    let waits = within(waits).await.unwrap();
    assert_eq!(text(waits.into_body()).await.unwrap(), "/waits");
    assert_eq!(client.text("/works").await, "/works");
    assert_eq!(client.text("/next").await, "/next");
    gate.open();
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_46_shutdown_completes_streams_and_says_goaway() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            teller.tell(());
            gate.passed().await;
            whole(&sender, "completed").await
        },
    ));
    let mut client = Client::connect(&server).await;
    let (response, _) = client.requests.send_request(request("/"), true).unwrap();
    told.next().await;
    server.stop();
    gate.open();
    let response = within(response).await.unwrap();
    assert_eq!(text(response.into_body()).await.unwrap(), "completed");
    server.ended().await.unwrap();
    // The server closed the connection in order.
    within(client.connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn core_08_sends_wait_for_a_client_that_gives_no_capacity() {
    const PART: usize = 64 << 10;
    const PARTS: usize = 512;
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        for n in 0..PARTS {
            let mut sending = std::pin::pin!(sender.send(HttpResponseBody::part("x".repeat(PART))));
            // On a busy machine this number is smaller.
            match tokio::time::timeout(Duration::from_millis(500), &mut sending).await {
                Ok(sent) => sent?,
                Err(_) => {
                    teller.tell(n);
                    sending.await?;
                }
            }
        }
        teller.tell(PARTS);
        Ok(sender.send(HttpResponseBody::end()).await?)
    }));
    let mut client = Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    let held = told.next().await;
    assert!(held <= PARTS / 2, "{held} parts were taken");
    let body = text(response.into_body()).await.unwrap();
    assert_eq!(body.len(), PART * PARTS);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn core_14_the_future_is_dropped_when_the_grace_period_has_passed() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.disconnect = Duration::from_millis(50);
    let server = Server::with(
        configured,
        http(teller, async |teller, _, _, _| {
            let _dropped = OnDrop::tell(&teller, "dropped");
            teller.tell("ready");
            std::future::pending::<()>().await;
            Ok(())
        }),
    );
    let mut client = Client::connect(&server).await;
    let (_response, mut body) = client.begin(request("/"));
    assert_eq!(told.next().await, "ready");
    body.send_reset(Reason::CANCEL);
    assert_eq!(told.next().await, "dropped");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ext_04_trailers_follow_the_content() {
    let server = Server::start(http((), async |(), _, _, sender| {
        let mut start = HttpResponseStart::ok();
        start.trailers = true;
        sender.send(start).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        for (name, more) in [("x-one", true), ("x-two", false)] {
            let mut trailers = HttpResponseTrailers::default();
            trailers
                .headers
                .insert(name, http::HeaderValue::from_static("value"));
            trailers.more_trailers = more;
            sender.send(trailers).await?;
        }
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let mut body = client.get("/").await.unwrap().into_body();
    let data = within(body.data()).await.unwrap().unwrap();
    assert_eq!(data, "content");
    let trailers = within(body.trailers()).await.unwrap().expect("trailers");
    assert_eq!(trailers.len(), 2);
    assert_eq!(
        (&trailers["x-one"], &trailers["x-two"]),
        (&"value".parse().unwrap(), &"value".parse().unwrap())
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ext_04_trailers_that_turn_out_to_be_none_are_not_sent() {
    let server = Server::start(http((), async |(), _, _, sender: Sender| {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(HttpResponseTrailers::default()).await?;
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let mut body = client.get("/").await.unwrap().into_body();
    let data = within(body.data()).await.unwrap().unwrap();
    assert_eq!(data, "content");
    while let Some(data) = within(body.data()).await {
        assert_eq!(data.unwrap(), "");
    }
    assert_eq!(within(body.trailers()).await.unwrap(), None);
    drop((body, client));
    server.finish().await;
}

#[tokio::test]
async fn ext_09_a_file_is_sent_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "0123456789".repeat(20_000);
    std::fs::write(file.path(), &content).unwrap();
    let path = Arc::new(file.path().to_owned());
    let server = Server::start(http(
        path,
        async |path: Arc<std::path::PathBuf>, _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            let path = (*path).clone();
            sender
                .send(SendEvent::from(HttpResponsePathSend::new(path)))
                .await?;
            Ok(())
        },
    ));
    let mut client = Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    assert_eq!(response.headers()["content-length"], "200000");
    assert!(text(response.into_body()).await.unwrap() == content);
    drop(client);
    server.finish().await;
}
