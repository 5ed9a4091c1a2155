//! Applications that the connection polls in place, over HTTP/1: none of them holds the connection up.

use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseEarlyHint, HttpResponseStart, ReceiveEvent};
use tokio::io::AsyncReadExt as _;

use crate::support::{Gate, Server, config, get, http, post, tell, whole, within};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_application_that_uses_up_its_budget_does_not_hold_its_output_back() {
    let mut configured = config();
    configured.timeouts.write = SHORT;
    let gate = Gate::new();
    let server = Server::with(
        configured,
        http(gate.clone(), async |gate: Gate, _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("at once")).await?;
            let works = async {
                loop {
                    tokio::task::coop::consume_budget().await;
                }
            };
            tokio::select! {
                () = works => {}
                () = gate.passed() => {}
            }
            Ok(sender.send(HttpResponseBody::last("late")).await?)
        }),
    );
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.head().await;
    assert_eq!(client.chunk().await.as_deref(), Some("at once"));
    // Longer than the time for output that makes no progress.
    tokio::time::sleep(4 * SHORT).await;
    gate.open();
    assert_eq!(client.chunk().await.as_deref(), Some("late"));
    assert_eq!(client.chunk().await, None);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_is_gone_is_noticed_although_the_application_uses_up_its_budget() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, _| {
        receiver.receive().await;
        teller.tell("called");
        let works = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        tokio::select! {
            () = works => {}
            event = receiver.receive() => assert_eq!(event, ReceiveEvent::HttpDisconnect),
        }
        teller.tell("disconnected");
        Ok(())
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "called");
    client.stream.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(told.next().await, "disconnected");
    server.finish().await;
}

#[tokio::test]
async fn content_that_waits_after_the_response_is_a_disconnect() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        sender
            .send(HttpResponseStart::ok().header("content-length", "2"))
            .await?;
        sender.send(HttpResponseBody::part("ok")).await?;
        teller.tell(receiver.receive().await);
        Ok(())
    }));
    for content in ["content-length: 10\r\n", "content-length: 1000000\r\n"] {
        let mut client = server.connect().await;
        client
            .send(format!("POST / HTTP/1.1\r\nhost: test\r\n{content}\r\n"))
            .await;
        assert_eq!(client.response().await.body, "ok");
        assert_eq!(told.next().await, ReceiveEvent::HttpDisconnect, "{content}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_response_to_a_client_that_waits_for_continue_is_the_last_on_its_connection() {
    let server = Server::start(http((), async |(), _, receiver, sender| {
        sender
            .send(HttpResponseStart::ok().header("content-length", "2"))
            .await?;
        // The receiver is kept, and never used.
        sender.send(HttpResponseBody::part("ok")).await?;
        drop(receiver);
        Ok(())
    }));
    let mut client = server.connect().await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n"
                .to_owned()
                + &get("/smuggled"),
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_close_delimited_response_that_is_given_up_is_reset() {
    let mut configured = config();
    configured.timeouts.half_close = SHORT;
    configured.timeouts.disconnect = SHORT;
    let server = Server::with(
        configured,
        http((), async |(), _, _receiver, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            std::future::pending().await
        }),
    );
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    client.half_close().await;
    client.until("begun").await;
    let error = within(client.stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    server.finish().await;
}

#[tokio::test]
async fn early_hints_without_end_wait_for_a_client_that_does_not_read() {
    let mut configured = config();
    configured.timeouts.write = SHORT;
    let (teller, mut told) = tell();
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, _, sender| {
            if scope.raw_path() == "/other" {
                return whole(&sender, "other").await;
            }
            let link = http::HeaderValue::from_static("</style.css>; rel=preload");
            while let Ok(()) = sender
                .send(HttpResponseEarlyHint::new([link.clone()]))
                .await
            {}
            teller.tell("disconnected");
            Ok(())
        }),
    );
    let mut client = server.connect().await;
    client.send(get("/")).await;
    // The thread is not held: another connection is served meanwhile.
    assert_eq!(server.ask(get("/other")).await.body, "other");
    // The client takes nothing, and is reset.
    assert_eq!(told.next().await, "disconnected");
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_is_gone_gets_the_responses_before() {
    const LENGTH: usize = 16 << 20;
    let server = Server::start(http((), async |(), scope, mut receiver, sender| {
        if scope.raw_path() == "/large" {
            return whole(&sender, vec![b'x'; LENGTH]).await;
        }
        crate::support::content(&mut receiver).await;
        Ok(())
    }));
    let mut client = server.connect().await;
    let cut = &post("/cut", "0123456789")[..];
    client.send(get("/large") + &cut[..cut.len() - 5]).await;
    client.half_close().await;
    assert_eq!(client.response().await.body.len(), LENGTH);
    assert_eq!(client.rest().await, "");
    server.finish().await;
}
