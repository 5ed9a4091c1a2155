//! The content of a request, the client's going away, and the order of requests.

use std::time::Duration;

use crate::support::{Gate, Server, config, content, get, http, post, says, tell, whole, within};
use callgate::{HttpRequestBody, HttpResponseBody, HttpResponseStart, ReceiveEvent, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A server that answers with the content that it received, and tells the last event.
fn echo() -> (Server, crate::support::Told<HttpRequestBody>) {
    let (teller, told) = tell();
    let app = http(teller, async |teller, _, mut receiver, sender| {
        if let Some((content, last)) = content(&mut receiver).await {
            teller.tell(last);
            whole(&sender, content).await?;
        }
        Ok(())
    });
    (Server::start(app), told)
}

#[tokio::test]
async fn http_01_content_comes_in_order_and_ends_once() {
    let (server, _told) = echo();
    let content: String = (0..50_000).map(|number| format!("{number},")).collect();
    let response = server.ask(post("/", &content)).await;
    assert_eq!(response.body, content);
    server.finish().await;
}

#[tokio::test]
async fn http_02_no_content_is_one_empty_event() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        teller.tell(receiver.receive().await);
        whole(&sender, "").await
    }));
    let mut client = server.connect().await;
    for request in [get("/"), post("/", "")] {
        client.send(request).await;
        client.response().await;
        assert_eq!(
            told.next().await,
            ReceiveEvent::HttpRequestBody(HttpRequestBody::default())
        );
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_03_content_is_delivered_as_it_arrives() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        while let ReceiveEvent::HttpRequestBody(event) = receiver.receive().await {
            teller.tell((event.body, event.more_body));
            if !event.more_body {
                break;
            }
        }
        whole(&sender, "done").await
    }));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\none")
        .await;
    // What follows is sent only after the part before it has been received.
    assert_eq!(told.next().await, ("one".into(), true));
    client.send("two").await;
    assert_eq!(told.next().await.0, "two");
    client.send("end").await;
    assert_eq!(client.response().await.body, "done");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_04_content_that_is_not_received_holds_the_client_back() {
    const TOTAL: usize = 256 << 20;
    const BOUND: usize = 64 << 20;
    let gate = Gate::new();
    let server = Server::start(http(
        gate.clone(),
        async |gate: Gate, _, mut receiver, sender| {
            gate.passed().await;
            let mut received = 0;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(event) => {
                        received += event.body.len();
                        if !event.more_body {
                            break;
                        }
                    }
                    _ => return Ok(()),
                }
            }
            whole(&sender, received.to_string()).await
        },
    ));
    let mut client = server.connect().await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {TOTAL}\r\n\r\n"
        ))
        .await;
    let chunk = vec![b'x'; 64 << 10];
    let mut sent = 0;
    // A pause that is taken too early for the end only makes less of it.
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(500), client.stream.write(&chunk)).await
    {
        sent += written.unwrap();
        assert!(sent <= BOUND, "{sent} bytes were taken in");
    }
    gate.open();
    while sent < TOTAL {
        let length = chunk.len().min(TOTAL - sent);
        client.send(&chunk[..length]).await;
        sent += length;
    }
    assert_eq!(client.response().await.body, TOTAL.to_string());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_05_and_06_chunks_are_removed_and_trailers_delivered_last() {
    let (server, mut told) = echo();
    let request = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\
                   trailer: x-sum\r\n\r\n\
                   3;ext=1\r\none\r\nA\r\n, two, thr\r\n2\r\nee\r\n0\r\nX-Sum: 5\r\nx-more: 6\r\n\r\n";
    let response = server.ask(request).await;
    assert_eq!(response.body, "one, two, three");
    let trailers = told.next().await.trailers.expect("trailers");
    assert_eq!(
        (trailers.len(), &trailers["x-sum"]),
        (2, &"5".parse().unwrap())
    );
    server.finish().await;
}

#[tokio::test]
async fn http_07_a_body_that_is_cut_is_a_disconnect() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequestBody(event) => teller.tell(format!("{:?}", event.body)),
                event => {
                    teller.tell(format!("{event:?}"));
                    break;
                }
            }
        }
        teller.tell(format!("{:?}", receiver.receive().await));
        let sent = sender.send(HttpResponseStart::ok()).await;
        assert!(matches!(sent, Err(SendError::Disconnected)));
        Ok(())
    }));
    for head in [
        "content-length: 10\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut client = server.connect().await;
        client
            .send(format!("POST / HTTP/1.1\r\nhost: test\r\n{head}"))
            .await;
        assert_eq!(told.next().await, "b\"abc\"");
        drop(client);
        assert_eq!(told.next().await, "HttpDisconnect");
        assert_eq!(told.next().await, "HttpDisconnect");
    }
    server.finish().await;
}

#[tokio::test]
async fn http_08_a_receive_after_the_body_waits_for_the_end_of_the_response() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, mut receiver, sender| {
            receiver.receive().await;
            sender.send(HttpResponseStart::ok()).await?;
            tokio::select! {
                biased;
                event = receiver.receive() => teller.tell(format!("too early: {event:?}")),
                () = gate.passed() => teller.tell("still waiting".into()),
            }
            sender.send(HttpResponseBody::last("x")).await?;
            for _ in 0..2 {
                teller.tell(format!("{:?}", receiver.receive().await));
            }
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    gate.open();
    assert_eq!(told.next().await, "still waiting");
    assert_eq!(client.response().await.body, "x");
    // The connection stays open; it is the end of the response that is told.
    assert_eq!(told.next().await, "HttpDisconnect");
    assert_eq!(told.next().await, "HttpDisconnect");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_09_a_client_that_goes_away_is_told_in_every_phase() {
    let (teller, mut told) = tell();
    let configured = config().timeout_half_close(Duration::from_millis(20));
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, mut receiver, sender| {
            receiver.receive().await;
            if scope.raw_path() != "/waiting" {
                sender.send(HttpResponseStart::ok()).await?;
            }
            if scope.raw_path() == "/streaming" {
                sender.send(HttpResponseBody::part("x")).await?;
            }
            teller.tell("ready".to_owned());
            teller.tell(format!("{:?}", receiver.receive().await));
            let event = if scope.raw_path() == "/waiting" {
                sender.send(HttpResponseStart::ok()).await
            } else {
                sender.send(HttpResponseBody::part("y")).await
            };
            teller.tell(format!("{event:?}"));
            event?;
            Ok(())
        }),
    );
    for target in ["/waiting", "/started", "/streaming"] {
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        drop(client);
        assert_eq!(told.next().await, "HttpDisconnect", "{target}");
        assert_eq!(told.next().await, "Err(Disconnected)", "{target}");
    }
    server.finish().await;
}

#[tokio::test]
async fn http_10_continue_is_sent_when_the_application_receives() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, mut receiver, sender| {
            teller.tell(());
            gate.passed().await;
            let (content, _) = content(&mut receiver).await.unwrap();
            whole(&sender, content).await
        },
    ));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        .await;
    told.next().await;
    assert!(!client.has_input());
    gate.open();
    assert_eq!(client.head().await.status, 100);
    client.send("hello").await;
    let response = client.response().await;
    assert_eq!((response.status, response.body.as_str()), (200, "hello"));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_11_no_continue_without_a_receive() {
    let server = Server::start(says("no, thanks"));
    let response = server
        .ask("POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        .await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, "no, thanks")
    );
    server.finish().await;
}

#[tokio::test]
async fn http_13_malformed_content_is_answered_400() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        let received = content(&mut receiver).await;
        teller.tell(received.is_none());
        teller.tell(matches!(
            sender.send(HttpResponseStart::ok()).await,
            Err(SendError::Disconnected)
        ));
        Ok(())
    }));
    for chunks in [
        "zz\r\n",
        "3\r\nabcdef\r\n",
        "-1\r\n",
        "fffffffffffffffff\r\n",
        "3;a\nabc",
    ] {
        let answer = server
            .ask_all(format!(
                "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(told.next().await && told.next().await);
    }
    server.finish().await;
}

#[tokio::test]
async fn http_13_malformed_content_cuts_a_response_that_has_begun() {
    let server = Server::start(http((), async |(), _, mut receiver, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("begun")).await?;
        content(&mut receiver).await;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.chunk().await.unwrap(), "begun");
    client.send("zz\r\n").await;
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_47_a_response_reaches_a_client_that_is_still_sending() {
    let server = Server::start(says("enough"));
    let mut client = server.connect().await;
    let total = 8 << 20;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {total}\r\n\r\n"
        ))
        .await;
    let (mut reading, mut writing) = client.stream.into_split();
    let writer = tokio::spawn(async move {
        // The server may close before it has taken everything.
        writing.write_all(&vec![b'x'; total]).await.ok();
        writing
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while crate::support::find(&answer, b"enough").is_none() {
        let length = within(reading.read(&mut buffer)).await.unwrap();
        assert_ne!(length, 0, "the response is cut");
        answer.extend_from_slice(&buffer[..length]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    drop(reading);
    drop(within(writer).await.unwrap());
    server.finish().await;
}

#[tokio::test]
async fn http_47_a_response_larger_than_buffers_reaches_a_client_that_is_still_sending() {
    // More than systems hold for a client that does not read.
    const LENGTH: usize = 64 << 20;
    let server = Server::start(http((), async |(), _, _, sender| {
        whole(&sender, vec![b'y'; LENGTH]).await
    }));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    let mut answer = Vec::with_capacity(LENGTH + 1024);
    while answer.len() < LENGTH {
        // As much as is taken.
        let _ = client.stream.try_write(&[b'x'; 1024]);
        let read = within(client.stream.read_buf(&mut answer)).await.unwrap();
        assert_ne!(read, 0, "the response is cut after {} bytes", answer.len());
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn small_content_that_was_not_received_leaves_the_connection_usable() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        whole(&sender, scope.raw_path().to_owned()).await
    }));
    let mut client = server.connect().await;
    for target in ["/1", "/2"] {
        client
            .send(post(target, "GET /smuggled HTTP/1.1\r\n\r\n"))
            .await;
        assert_eq!(client.response().await.body, target);
    }
    drop(client);
    server.finish().await;
}
