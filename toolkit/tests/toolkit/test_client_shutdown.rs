//! The shutdown of the server, as exchanges in flight learn of it.

use std::pin::pin;

use callgate::transcript::Entry;
use callgate::{
    AppError, Feature, Features, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use futures_util::poll;

/// Streams until the shutdown, or holds a request of `/poll` until then.
async fn waits(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    if let Scope::Lifespan(_) = scope {
        receiver.receive().await;
        sender.send(LifespanStartupComplete::new()).await?;
        receiver.receive().await;
        sender.send(LifespanShutdownComplete::new()).await?;
        return Ok(());
    }
    let is_stream = scope.into_http()?.path() != "/poll";
    if is_stream {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("tick ")).await?;
    }
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpShutdown if is_stream => {
                return Ok(sender.send(HttpResponseBody::last("bye")).await?);
            }
            ReceiveEvent::HttpShutdown => return respond::text("nothing new").send(&sender).await,
            ReceiveEvent::HttpDisconnect => return Ok(()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn exchanges_in_flight_receive_the_shutdown_and_end_their_responses() {
    let client = TestClient::start(waits).await.unwrap();
    let mut stream = client.get("/").stream().await.unwrap();
    let long_poll = client.get("/poll").start();
    let first = stream.body_mut().chunk().await.unwrap();
    assert_eq!(first.unwrap(), "tick ");

    let shutdown = tokio::spawn(client.shutdown());
    assert_eq!(stream.body_mut().rest().await.unwrap(), "bye");
    let response = long_poll.response().await.unwrap();
    assert_eq!(response.text(), "nothing new");
    for exchange in [TestExchange::of(&stream), TestExchange::of(&response)] {
        exchange.ended().await.unwrap();
        let transcript = exchange.transcript();
        let mut shutdowns = transcript.received();
        assert!(
            shutdowns.any(|event| *event == ReceiveEvent::HttpShutdown),
            "{transcript}"
        );
    }
    shutdown.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_shutdown_waits_for_a_response_that_goes_on() {
    let client = TestClient::new(waits);
    let mut stream = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&stream).clone();
    let mut shutdown = pin!(client.shutdown());
    assert!(poll!(&mut shutdown).is_pending());
    assert_eq!(stream.body_mut().rest().await.unwrap(), "tick bye");
    shutdown.await.unwrap();
    assert!(matches!(
        exchange.transcript().entries().last(),
        Some(Entry::Returned(Ok(())))
    ));
}

#[tokio::test]
async fn a_request_after_the_begin_of_the_shutdown_learns_of_it() {
    let client = TestClient::new(waits);
    client.begin_shutdown();
    let response = client.get("/poll").send().await.unwrap();
    assert_eq!(response.text(), "nothing new");
}

#[tokio::test]
async fn an_exchange_that_is_not_offered_the_shutdown_does_not_receive_it() {
    let client = TestClient::new(waits).features(Features::NONE.with(Feature::PathSend));
    let response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    client.begin_shutdown();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!exchange.is_ended());
    drop(response);
    exchange.ended().await.unwrap();
    let last = exchange.transcript().received().last().cloned();
    assert_eq!(last, Some(ReceiveEvent::HttpDisconnect));
}
