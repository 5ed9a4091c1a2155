//! Requests that are sent before the ones ahead of them have been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callgate::{HttpResponseBody, HttpResponseStart};

use crate::support::{Client, Gate, Response, Server, content, get, http, post, tell, whole};

#[tokio::test]
async fn http_39_pipelined_requests_are_answered_in_order() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(calls, async |calls, scope, mut receiver, sender| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        let (content, _) = content(&mut receiver).await.unwrap();
        let content = String::from_utf8(content).unwrap();
        let text = format!("{call} {} {content}", scope.raw_path());
        if call % 2 == 0 {
            return whole(&sender, text).await;
        }
        sender.send(HttpResponseStart::ok()).await?;
        for byte in text.into_bytes() {
            tokio::task::yield_now().await;
            sender.send(HttpResponseBody::part(vec![byte])).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    let requests: String = (0..20)
        .map(|n| post(&format!("/{n}"), &"x".repeat(n)))
        .collect();
    client.send(requests).await;
    for n in 0..20 {
        let expected = format!("{n} /{n} {}", "x".repeat(n));
        assert_eq!(client.response().await.body, expected);
    }
    drop(client);
    server.finish().await;
}

/// What the next request is answered with: at once, where it is wrong or the client waits for leave
/// to send its content.
const NEXT: [(&str, u16); 3] = [
    ("GET /next HTTP/1.1\r\nhost: test\r\n\r\n", 200),
    (
        "POST /next HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n",
        100,
    ),
    ("no request\r\n\r\n", 400),
];

/// The rest of a request whose content is not taken in ahead of its application.
const UNREAD: &str = "HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                      6\r\nunread\r\n0\r\n\r\n";

/// More than systems hold for a client that does not read.
const LENGTH: usize = 16 << 20;

/// Reads a response of that length with nothing in between.
async fn large(client: &mut Client) -> Response {
    let response = client.response().await;
    assert!(response.body == "x".repeat(LENGTH));
    response
}

#[tokio::test]
async fn http_39_a_response_to_content_that_is_not_received_is_not_mixed_with_the_next() {
    let server = Server::start(http(
        (),
        async |(), scope, mut receiver, sender| match scope.raw_path() {
            "/whole" => {
                tokio::task::yield_now().await;
                whole(&sender, vec![b'x'; LENGTH]).await
            }
            "/after-some" => {
                receiver.receive().await;
                whole(&sender, vec![b'x'; LENGTH]).await
            }
            "/streamed" => {
                sender.send(HttpResponseStart::ok()).await?;
                let half = vec![b'x'; LENGTH / 2];
                sender.send(HttpResponseBody::part(half.clone())).await?;
                sender.send(HttpResponseBody::last(half)).await?;
                Ok(())
            }
            _ => {
                content(&mut receiver).await;
                whole(&sender, "next").await
            }
        },
    ));
    for target in ["/whole", "/after-some", "/streamed"] {
        for (next, status) in NEXT {
            let mut client = server.connect().await;
            client.send(format!("POST {target} {UNREAD}{next}")).await;
            large(&mut client).await;
            assert_eq!(client.head().await.status, status, "{target} {next}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn http_39_a_response_is_not_mixed_with_what_comes_of_the_content_too_late() {
    let (teller, mut told) = tell();
    let shared = (teller, Gate::new());
    let server = Server::start(http(
        shared.clone(),
        async |(teller, gate), scope, mut receiver, sender| {
            if scope.raw_path() == "/next" {
                content(&mut receiver).await;
                return whole(&sender, "next").await;
            }
            teller.tell(());
            gate.passed().await;
            whole(&sender, vec![b'x'; LENGTH]).await
        },
    ));
    for (next, status) in NEXT {
        let mut client = server.connect().await;
        client
            .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\n")
            .await;
        told.next().await;
        shared.1.open();
        // The response fills what the client does not read.
        client.stream.readable().await.unwrap();
        client.send(format!("unread{next}")).await;
        assert_eq!(large(&mut client).await.field("connection"), None);
        assert_eq!(client.head().await.status, status, "{next}");
    }
    server.finish().await;
}

#[tokio::test]
async fn http_39_content_that_is_not_received_holds_nothing_up_after_the_response() {
    let gate = Gate::new();
    let server = Server::start(http(gate.clone(), async |gate, scope, _, sender| {
        if scope.raw_path() == "/next" {
            return whole(&sender, "next").await;
        }
        sender.send(HttpResponseStart::ok()).await?;
        // The head goes out, and the content to nobody.
        sender.send(HttpResponseBody::part("x")).await?;
        gate.passed().await;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    client
        .send(format!("HEAD / {UNREAD}{}", get("/next")))
        .await;
    assert_eq!(client.head().await.status, 200);
    gate.open();
    assert_eq!(client.response().await.body, "next");
    drop(client);
    server.finish().await;
}
