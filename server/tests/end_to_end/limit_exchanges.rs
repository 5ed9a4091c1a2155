//! Limits on exchanges in flight, on the requests of a connection, and on WebSockets.

use std::num::NonZeroUsize;
use std::time::Duration;

use callgate::{App, AppError, ReceiveEvent, Scope, WebSocketAccept};
use callgate_server::Config;

use crate::support::frames::{ask, close, handshake, open};
use crate::support::{Gate, OnDrop, Server, Teller, config, get, http, http2, tell, whole, within};

fn at_a_time(exchanges: usize) -> Config {
    config().limit_concurrency(NonZeroUsize::new(exchanges))
}

/// Answers `/wait` when the gate is open, and others at once.
fn waits(gate: &Gate, begun: Teller<()>) -> impl App + use<> {
    let gate = gate.clone();
    move |scope: Scope, mut receiver: callgate::Receiver, sender: callgate::Sender| {
        let (gate, begun) = (gate.clone(), begun.clone());
        async move {
            let path = match &scope {
                Scope::Http(scope) => scope.raw_path().to_owned(),
                Scope::WebSocket(scope) => scope.raw_path().to_owned(),
                _ => return Err(AppError::Unsupported),
            };
            if path == "/wait" {
                begun.tell(());
                tokio::select! {
                    () = gate.passed() => {}
                    () = disconnected(&mut receiver) => {
                        begun.tell(());
                        return Ok(());
                    }
                }
            }
            if let Scope::Http(_) = scope {
                return whole(&sender, "served").await;
            }
            sender.send(WebSocketAccept::new()).await?;
            disconnected(&mut receiver).await;
            Ok(())
        }
    }
}

async fn disconnected(receiver: &mut callgate::Receiver) {
    while !matches!(
        receiver.receive().await,
        ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
    ) {}
}

#[tokio::test]
async fn an_exchange_too_many_gets_503_over_each_version_until_another_has_ended() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let server = Server::with(at_a_time(1), waits(&gate, begun));
    let mut first = server.connect().await;
    first.send(get("/wait")).await;
    is_begun.next().await;
    let mut second = server.connect().await;
    let mut third = http2::Client::connect(&server).await;
    second.send(get("/")).await;
    let response = second.response().await;
    assert_eq!(response.status, 503);
    assert_eq!(response.field("retry-after"), Some("5"));
    let response = third.get("/").await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(ask(&server, "/", "").await.1.status, 503);
    gate.open();
    assert_eq!(first.response().await.body, "served");
    // The connections are as good as new.
    second.send(get("/")).await;
    assert_eq!(second.response().await.body, "served");
    assert_eq!(third.text("/").await, "served");
    drop((first, second, third));
    server.finish().await;
}

#[tokio::test]
async fn an_exchange_that_finds_a_place_in_the_queue_waits_for_its_turn() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let server = Server::with(at_a_time(1).concurrency_queue(1), waits(&gate, begun));
    let mut client = http2::Client::connect(&server).await;
    // The streams of a connection begin in order.
    let [first, second, third] = ["/wait", "/wait", "/"].map(|path| {
        let (response, _) = (client.requests)
            .send_request(http2::request(path), true)
            .unwrap();
        response
    });
    is_begun.next().await;
    assert_eq!(within(third).await.unwrap().status(), 503);
    gate.open();
    assert_eq!(within(first).await.unwrap().status(), 200);
    is_begun.next().await;
    let mut fourth = server.connect().await;
    fourth.send(get("/wait")).await;
    gate.open();
    gate.open();
    assert_eq!(within(second).await.unwrap().status(), 200);
    assert_eq!(fourth.response().await.body, "served");
    drop((client, fourth));
    server.finish().await;
}

#[tokio::test]
async fn an_exchange_that_has_waited_for_too_long_gets_503() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let config = at_a_time(1)
        .concurrency_queue(9)
        .timeout_concurrency_queue(Duration::from_millis(50));
    let server = Server::with(config, waits(&gate, begun));
    let mut first = server.connect().await;
    first.send(get("/wait")).await;
    is_begun.next().await;
    let response = server.ask(get("/")).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(ask(&server, "/", "").await.1.status, 503);
    gate.open();
    assert_eq!(first.response().await.body, "served");
    drop(first);
    server.finish().await;
}

#[tokio::test]
async fn a_handshake_counts_until_it_is_answered_and_an_open_websocket_does_not() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let server = Server::with(at_a_time(1), waits(&gate, begun));
    let mut client = server.connect().await;
    client.send(handshake("/wait", "")).await;
    is_begun.next().await;
    assert_eq!(server.ask(get("/")).await.status, 503);
    gate.open();
    assert_eq!(client.head().await.status, 101);
    assert_eq!(server.ask(get("/")).await.status, 200);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_websocket_too_many_gets_503_until_another_is_closed() {
    let (begun, _) = tell();
    let limited = config().max_websockets(NonZeroUsize::new(1));
    let server = Server::with(limited, waits(&Gate::new(), begun));
    let mut first = open(&server, "/").await;
    assert_eq!(ask(&server, "/", "").await.1.status, 503);
    assert_eq!(server.ask(get("/")).await.status, 200);
    first.send(close(1000, "")).await;
    first.closed_with(1000).await;
    first.rest().await;
    drop(first);
    // The server ends the session when it has closed the connection.
    let second = loop {
        let mut client = server.connect().await;
        client.send(handshake("/", "")).await;
        if client.head().await.status == 101 {
            break client;
        }
    };
    drop(second);
    server.finish().await;
}

#[tokio::test]
async fn a_handshake_that_the_application_does_not_answer_in_time_gets_504() {
    let (begun, mut is_begun) = tell();
    let limited = config().timeout_websocket_handshake(Some(Duration::from_millis(50)));
    let server = Server::with(limited, waits(&Gate::new(), begun));
    assert_eq!(ask(&server, "/wait", "").await.1.status, 504);
    is_begun.next().await;
    // The application has received a disconnect.
    is_begun.next().await;
    server.finish().await;
}

#[tokio::test]
async fn a_connection_that_has_had_its_requests_is_closed() {
    let limited = config().max_requests_per_connection(NonZeroUsize::new(2));
    let server = Server::with(limited, waits(&Gate::new(), tell().0));
    let mut client = server.connect().await;
    client.send(get("/").repeat(3)).await;
    assert_eq!(client.response().await.field("connection"), None);
    let last = client.response().await;
    assert_eq!(
        (last.status, last.field("connection")),
        (200, Some("close"))
    );
    assert_eq!(client.rest().await, "");
    drop(client);
    let mut client = http2::Client::connect(&server).await;
    assert_eq!(client.text("/").await, "served");
    assert_eq!(client.text("/").await, "served");
    within(client.connection).await.unwrap().unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_call_too_many_whose_client_is_gone_is_dropped_at_once() {
    let (begun, mut is_begun) = tell();
    let (dropped, mut is_dropped) = tell();
    let server = Server::with(
        config().max_abandoned_calls(1),
        http((begun, dropped), async |(begun, dropped), _, _, _| {
            let _dropped = OnDrop::tell(&dropped, ());
            begun.tell(());
            std::future::pending().await
        }),
    );
    for _ in 0..2 {
        let mut client = http2::Client::connect(&server).await;
        let (response, _) = (client.requests)
            .send_request(http2::request("/"), true)
            .unwrap();
        is_begun.next().await;
        drop((response, client.requests));
        client.connection.abort();
    }
    // The default of the time after a disconnect is longer than this test waits.
    is_dropped.next().await;
    assert!(is_dropped.is_empty());
    server.stop();
    server.stop();
}
