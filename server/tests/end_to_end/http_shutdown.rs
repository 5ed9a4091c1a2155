//! `http.shutdown`: an application that streams learns that the server shuts down.

use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver,
    Sender,
};

use crate::support::{Server, Teller, content, get, http, http2, tell, whole};

/// Streams until the server shuts down, and then sends a last part in several events.
async fn stream_until_shutdown(
    teller: Teller<String>,
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    assert!(scope.features.contains(Feature::Shutdown));
    content(&mut receiver).await;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::part("begun, ")).await?;
    teller.tell("streaming".into());
    let event = receiver.receive().await;
    teller.tell(event.type_name().into());
    sender.send(HttpResponseBody::part("told, ")).await?;
    sender.send(HttpResponseBody::last("ended")).await?;
    let event = receiver.receive().await;
    teller.tell(event.type_name().into());
    Ok(())
}

#[tokio::test]
async fn ext_17_a_stream_ends_in_order_when_the_server_shuts_down() {
    let (teller, mut told) = tell();
    let mut server = Server::start(http(teller, stream_until_shutdown));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "streaming");
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.chunk().await.unwrap(), "begun, ");
    server.stop();
    assert_eq!(told.next().await, "http.shutdown");
    assert_eq!(client.chunk().await.unwrap(), "told, ");
    assert_eq!(client.chunk().await.unwrap(), "ended");
    assert_eq!(client.chunk().await, None);
    assert_eq!(told.next().await, "http.disconnect");
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn ext_17_a_stream_over_http2_ends_in_order_when_the_server_shuts_down() {
    let (teller, mut told) = tell();
    let mut server = Server::start(http(teller, stream_until_shutdown));
    let mut client = http2::Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    assert_eq!(told.next().await, "streaming");
    server.stop();
    assert_eq!(told.next().await, "http.shutdown");
    let body = http2::text(response.into_body()).await.unwrap();
    assert_eq!(body, "begun, told, ended");
    assert_eq!(told.next().await, "http.disconnect");
    drop(client);
    server.ended().await.unwrap();
}

/// Responds once the server shuts down.
async fn respond_at_shutdown(
    teller: Teller<&'static str>,
    _: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    content(&mut receiver).await;
    teller.tell("waiting");
    assert_eq!(receiver.receive().await, ReceiveEvent::HttpShutdown);
    whole(&sender, "a long poll").await
}

#[tokio::test]
async fn ext_17_a_long_poll_is_told_before_its_response_has_started() {
    let (teller, mut told) = tell();
    let mut server = Server::start(http(teller, respond_at_shutdown));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "waiting");
    server.stop();
    assert_eq!(client.response().await.body, "a long poll");
    drop(client);
    server.ended().await.unwrap();
}
