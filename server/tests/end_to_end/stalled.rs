//! Clients that make no progress, over HTTP/1.

use std::time::Duration;

use callgate::{AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent};
use tokio::io::AsyncReadExt as _;

use crate::support::{Server, config, get, http, tell, whole, within};

const SHORT: Duration = Duration::from_millis(200);

/// More than systems hold for a client that does not read.
const LENGTH: usize = 16 << 20;

#[tokio::test]
async fn content_that_makes_no_progress_is_answered_408() {
    let mut configured = config();
    configured.timeouts.request_content = SHORT;
    let (teller, mut told) = tell();
    let server = Server::with(
        configured,
        http(teller, async |teller, _, mut receiver, _| {
            while let ReceiveEvent::HttpRequestBody(_) = receiver.receive().await {}
            teller.tell(());
            Ok(())
        }),
    );
    for framing in [
        "content-length: 10\r\n\r\nxyz",
        "transfer-encoding: chunked\r\n\r\n3\r\nxyz\r\n2",
    ] {
        let mut client = server.connect().await;
        client
            .send(format!("POST / HTTP/1.1\r\nhost: test\r\n{framing}"))
            .await;
        told.next().await;
        let response = client.response().await;
        assert_eq!(response.status, 408);
        assert_eq!(response.field("connection"), Some("close"));
        assert_eq!(client.rest().await, "");
    }
    server.finish().await;
}

#[tokio::test]
async fn content_that_makes_no_progress_cuts_a_response_that_has_begun() {
    let mut configured = config();
    configured.timeouts.request_content = SHORT;
    let server = Server::with(
        configured,
        http((), async |(), _, mut receiver, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            while let ReceiveEvent::HttpRequestBody(_) = receiver.receive().await {}
            Ok(sender.send(HttpResponseBody::end()).await?)
        }),
    );
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nxyz")
        .await;
    client.head().await;
    assert_eq!(client.rest().await, "5\r\nbegun\r\n");
    drop(client);
    server.finish().await;
}

/// A client that takes a streamed response is there, though it sends nothing.
#[tokio::test]
async fn content_may_be_silent_for_as_long_as_the_response_makes_progress() {
    let mut configured = config();
    configured.timeouts.request_content = 2 * SHORT;
    let server = Server::with(
        configured,
        http((), async |(), _, mut receiver, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            let streaming = async {
                for _ in 0..12 {
                    tokio::time::sleep(SHORT / 2).await;
                    sender.send(HttpResponseBody::part("x")).await?;
                }
                Ok::<_, AppError>(())
            };
            let content = crate::support::content(&mut receiver);
            let (content, streamed) = tokio::join!(content, streaming);
            streamed?;
            let (content, _) = content.ok_or(AppError::failed("there is no content"))?;
            Ok(sender.send(HttpResponseBody::last(content)).await?)
        }),
    );
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 7\r\n\r\n")
        .await;
    client.head().await;
    for _ in 0..12 {
        assert_eq!(client.chunk().await.as_deref(), Some("x"));
    }
    client.send("content").await;
    assert_eq!(client.chunk().await.as_deref(), Some("content"));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn without_a_least_rate_content_that_makes_slow_progress_is_waited_for() {
    let mut configured = config().min_request_rate(0);
    configured.timeouts.request_content = Duration::from_millis(500);
    let server = Server::with(
        configured,
        http((), async |(), _, mut receiver, sender| {
            let (content, _) = crate::support::content(&mut receiver).await.unwrap();
            whole(&sender, content).await
        }),
    );
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 8\r\n\r\n")
        .await;
    for _ in 0..8 {
        tokio::time::sleep(SHORT / 2).await;
        client.send("x").await;
    }
    assert_eq!(client.response().await.body, "x".repeat(8));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_application_that_does_not_receive_is_not_held_to_the_time_for_content() {
    let mut configured = config();
    configured.timeouts.request_content = SHORT;
    let server = Server::with(
        configured,
        http((), async |(), _, _receiver, sender| {
            tokio::time::sleep(4 * SHORT).await;
            whole(&sender, "late").await
        }),
    );
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nxyz")
        .await;
    assert_eq!(client.response().await.body, "late");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn content_that_is_skipped_and_makes_no_progress_ends_the_connection() {
    let mut configured = config();
    configured.timeouts.request_content = SHORT;
    let server = Server::with(configured, crate::support::says("enough"));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nxyz")
        .await;
    assert_eq!(client.response().await.body, "enough");
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_response_is_reset() {
    let mut configured = config();
    configured.timeouts.write = SHORT;
    let (teller, mut told) = tell();
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, _, sender| {
            if scope.raw_path() == "/whole" {
                whole(&sender, vec![b'x'; LENGTH]).await?;
                teller.tell("sent".to_owned());
                return Ok(());
            }
            sender.send(HttpResponseStart::ok()).await?;
            loop {
                let sent = sender
                    .send(HttpResponseBody::part(vec![b'x'; 100_000]))
                    .await;
                if sent.is_err() {
                    teller.tell(format!("{sent:?}"));
                    return Ok(());
                }
            }
        }),
    );
    for (target, end) in [("/whole", "sent"), ("/streamed", "Err(Disconnected)")] {
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, end);
        // What the system holds for the client is destroyed by the reset, which shows that the
        // response is incomplete.
        tokio::time::sleep(3 * SHORT).await;
        let mut read = Vec::new();
        let error = within(client.stream.read_to_end(&mut read))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_pipelines_and_never_reads_is_reset() {
    let mut configured = config();
    configured.timeouts.write = SHORT;
    let server = Server::with(
        configured,
        crate::support::says("a response of some length"),
    );
    let client = server.connect().await;
    let requests = get("/").repeat(1000);
    let sending = async {
        loop {
            client.stream.writable().await?;
            match client.stream.try_write(requests.as_bytes()) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return std::io::Result::<()>::Err(error),
                Ok(_) => {}
            }
        }
    };
    let error = within(sending).await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
        ),
        "{error}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_its_whole_response() {
    let mut configured = config();
    configured.timeouts.write = Duration::from_millis(500);
    let server = Server::with(
        configured,
        http((), async |(), _, _, sender| {
            whole(&sender, vec![b'x'; LENGTH]).await
        }),
    );
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.head().await;
    let mut left = LENGTH;
    while left > 0 {
        let piece = left.min(2 << 20);
        client.bytes(piece).await;
        left -= piece;
        tokio::time::sleep(SHORT / 2).await;
    }
    drop(client);
    server.finish().await;
}
