//! Clients that close their sending side or go away while their request is being answered.

use std::time::Duration;

use callgate::{AppError, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, Sender};

use crate::support::{Client, Gate, Server, Teller, config, get, http, post, tell, whole, within};

/// Waits for a disconnect, and tells how receiving and sending end.
async fn wait_for_disconnect(
    teller: Teller<String>,
    _: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    teller.tell("called".to_owned());
    loop {
        let event = receiver.receive().await;
        if !matches!(event, ReceiveEvent::HttpRequestBody(_)) {
            teller.tell(format!("{event:?}"));
            break;
        }
    }
    teller.tell(format!("{:?}", sender.send(HttpResponseStart::ok()).await));
    Ok(())
}

fn reset(client: &Client) {
    client.stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn http_12_a_client_that_closes_its_sending_side_is_gone_after_a_while() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::from_millis(200);
    let (teller, mut told) = tell();
    let server = Server::with(configured, http(teller, wait_for_disconnect));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "called");
    client.half_close().await;
    assert_eq!(told.next().await, "HttpDisconnect");
    assert_eq!(told.next().await, "Err(Disconnected)");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn http_12_without_a_time_for_half_closed_clients_they_are_gone_at_once() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::ZERO;
    let (teller, mut told) = tell();
    let server = Server::with(configured, http(teller, wait_for_disconnect));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.half_close().await;
    assert_eq!(told.next().await, "called");
    assert_eq!(told.next().await, "HttpDisconnect");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn http_49_a_client_that_closes_its_sending_side_gets_its_responses() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::from_secs(30);
    let gate = Gate::new();
    let (teller, mut told) = tell();
    let shared = (gate.clone(), teller);
    let server = Server::with(
        configured,
        http(
            shared,
            async |(gate, teller), scope, mut receiver, sender| {
                crate::support::content(&mut receiver).await;
                teller.tell(());
                gate.passed().await;
                whole(&sender, scope.raw_path().to_owned()).await
            },
        ),
    );
    // The end of the input comes in the middle of the first exchange, behind the second request.
    let mut client = server.connect().await;
    client
        .send(post("/first", &"x".repeat(50_000)) + &get("/second"))
        .await;
    told.next().await;
    client.half_close().await;
    gate.open();
    assert_eq!(client.response().await.body, "/first");
    told.next().await;
    gate.open();
    assert_eq!(client.response().await.body, "/second");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn http_09_a_client_that_is_gone_is_noticed_behind_input_that_is_not_read() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::from_millis(200);
    let (teller, mut told) = tell();
    let server = Server::with(configured, http(teller, wait_for_disconnect));
    let one_more = get("/next");
    let many_more = get("/next").repeat(1000);
    for unread in ["x", &one_more, &many_more] {
        for is_reset in [false, true] {
            let mut client = server.connect().await;
            client.send(get("/") + unread).await;
            assert_eq!(told.next().await, "called");
            if is_reset {
                reset(&client);
            }
            drop(client);
            let what = format!("{} octets, {is_reset}", unread.len());
            assert_eq!(told.next().await, "HttpDisconnect", "{what}");
            assert_eq!(told.next().await, "Err(Disconnected)", "{what}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn http_09_a_client_that_is_gone_is_noticed_behind_content_that_is_not_received() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::from_millis(200);
    configured.timeouts.disconnect = Duration::from_millis(200);
    let (teller, mut told) = tell();
    let server = Server::with(
        configured,
        http(teller, async |teller, _, _receiver, _sender| {
            let _dropped = crate::support::OnDrop::tell(&teller, "dropped");
            teller.tell("called");
            std::future::pending().await
        }),
    );
    for length in [200, 20_000, 100_000] {
        for is_reset in [false, true] {
            let mut client = server.connect().await;
            client
                .send(post("/", &"x".repeat(length))[..length / 2 + 100].to_owned())
                .await;
            assert_eq!(told.next().await, "called");
            if is_reset {
                reset(&client);
            }
            drop(client);
            // CORE-14: the grace period has begun, and ends.
            assert_eq!(told.next().await, "dropped", "{length} {is_reset}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn http_49_all_content_before_the_half_close_is_received() {
    let mut configured = config();
    configured.timeouts.half_close = Duration::from_secs(30);
    let gate = Gate::new();
    let (teller, mut told) = tell();
    let shared = (gate.clone(), teller);
    let server = Server::with(
        configured,
        http(shared, async |(gate, teller), _, mut receiver, sender| {
            teller.tell(());
            gate.passed().await;
            let (content, _) = crate::support::content(&mut receiver).await.unwrap();
            whole(&sender, content.len().to_string()).await
        }),
    );
    let mut client = server.connect().await;
    // The end of the connection arrives while the application does not receive, behind content that
    // the server has not taken in.
    client.send(post("/", &"x".repeat(60_000))).await;
    client.half_close().await;
    told.next().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    assert_eq!(client.response().await.body, "60000");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn content_that_has_come_is_received_although_much_came_behind_it() {
    let gate = Gate::new();
    let (teller, mut told) = tell();
    let shared = (gate.clone(), teller);
    let server = Server::start(http(
        shared,
        async |(gate, teller), _, mut receiver, sender| {
            teller.tell(());
            gate.passed().await;
            let (content, _) = crate::support::content(&mut receiver).await.unwrap();
            whole(&sender, content.len().to_string()).await
        },
    ));
    let mut client = server.connect().await;
    // More than the server takes in before the application receives, and in several pieces, of which
    // each is an event for the runtime.
    let request = post("/", &"x".repeat(300_000)).into_bytes();
    let (first, rest) = request.split_at(40_000);
    client.send(first).await;
    told.next().await;
    for piece in rest.chunks(20_000) {
        let _ = tokio::time::timeout(Duration::from_millis(20), client.stream.writable()).await;
        client.send(piece).await;
    }
    gate.open();
    assert_eq!(within(client.response()).await.body, "300000");
    drop(client);
    server.finish().await;
}
