//! WebSockets of an application in a server of axum that shuts down.

use axum::body::Body;
use callgate::ReceiveEvent;
use callgate_tower::ShutdownSignal;
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::service_websocket::{accepted, echo, handshake, next, open, serve_with};
use crate::support::within;

#[tokio::test]
async fn the_shutdown_of_the_server_closes_each_websocket_with_1012() {
    let shutdown = ShutdownSignal::new();
    let signal = shutdown.clone();
    let (report, reported) = oneshot::channel();
    let server = serve_with(
        async |_, mut receiver, sender| {
            sender.send(accepted()).await?;
            report.send(echo(&mut receiver, &sender).await?).unwrap();
            Ok(())
        },
        |service| service.with_shutdown(signal),
    )
    .await;
    let (mut client, _) = open(server.address).await;
    client.send(Frame::text("before")).await.unwrap();
    assert_eq!(next(&mut client).await, Frame::text("before"));
    shutdown.set();
    let Frame::Close(Some(close)) = next(&mut client).await else {
        panic!("it is a close");
    };
    assert_eq!(u16::from(close.code), 1012);
    assert_eq!(within(reported).await.unwrap().code, 1012);
    // The client has answered the close, so the connection ends.
    assert!(within(client.next()).await.is_none_or(|end| end.is_err()));
}

#[tokio::test]
async fn the_shutdown_of_the_server_refuses_a_handshake_without_a_response() {
    let shutdown = ShutdownSignal::new();
    let signal = shutdown.clone();
    let (report, reported) = oneshot::channel();
    let server = serve_with(
        async move |_, mut receiver, _sender| {
            receiver.receive().await;
            shutdown.set();
            report.send(receiver.receive().await).unwrap();
            Ok(())
        },
        |service| service.with_shutdown(signal),
    )
    .await;
    let request = handshake().body(Body::empty()).unwrap();
    let mut client = server.connect().await;
    let response = within(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ReceiveEvent::WebSocketDisconnect(disconnect) = within(reported).await.unwrap() else {
        panic!("it is a disconnect");
    };
    assert_eq!(disconnect.code, 1012);
}
