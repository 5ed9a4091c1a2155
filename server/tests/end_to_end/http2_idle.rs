//! What keeps an HTTP/2 connection from being an idle one.

use std::time::Duration;

use crate::support::frames::{FIN, TEXT, frame};
use crate::support::http2::{Client, octets, open, text};
use crate::support::{Server, config, http, websocket, whole};
use callgate::{
    App, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, ReceiveEvent, WebSocketAccept,
};
use futures_util::future::join_all;

/// How long the connections of an impatient server may be idle.
const PATIENCE: Duration = Duration::from_millis(200);

/// A server whose connections end when they have been idle for that long.
fn impatient(app: impl App) -> Server {
    let mut configured = config();
    configured.timeouts.keep_alive = PATIENCE;
    configured.timeouts.request_head = PATIENCE;
    Server::with(configured, app)
}

#[tokio::test]
async fn a_silent_websocket_does_not_make_its_connection_an_idle_one() {
    let server = impatient(websocket((), async |(), _, mut receiver, sender| {
        receiver.receive().await;
        sender.send(WebSocketAccept::new()).await?;
        while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
            sender.send(message).await?;
        }
        Ok(())
    }));
    let mut client = Client::connect(&server).await;
    let (response, mut stream) = open(&mut client, "/").await;
    let mut body = response.into_body();
    tokio::time::sleep(5 * PATIENCE).await;
    let message = frame(FIN | TEXT, "still there");
    stream.send_data(message.into(), false).unwrap();
    let data = octets(&mut body, 13).await;
    assert_eq!(data[2..], *b"still there");
    drop((client, stream, body));
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_takes_its_time_with_a_response_gets_all_of_it() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/websocket/session.rs");
    let server = impatient(http((), async |(), scope, _, sender| {
        match scope.raw_path() {
            "/large" => return whole(&sender, vec![b'x'; 1 << 20]).await,
            "/small" => return whole(&sender, vec![b'x'; 4000]).await,
            _ => {}
        }
        sender.send(HttpResponseStart::ok()).await?;
        if scope.raw_path() == "/file" {
            sender.send(HttpResponsePathSend::new(FILE)).await?;
            return Ok(());
        }
        sender.send(HttpResponseBody::part("")).await?;
        if scope.raw_path() == "/streamed" {
            sender
                .send(HttpResponseBody::last(vec![b'x'; 1 << 20]))
                .await?;
            return Ok(());
        }
        sender
            .send(HttpResponseBody::part(vec![b'x'; 4000]))
            .await?;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let length_of_file = std::fs::metadata(FILE).unwrap().len() as usize;
    let check = async |(path, length)| {
        // There is room for so much until the client takes something.
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(1000);
        let mut client = Client::with_settings(&server, &settings).await;
        let body = client.get(path).await.unwrap().into_body();
        tokio::time::sleep(5 * PATIENCE).await;
        let content = text(body).await;
        assert_eq!(content.map(|text| text.len()).ok(), Some(length), "{path}");
    };
    let responses = [
        ("/large", 1 << 20),
        ("/small", 4000),
        ("/file", length_of_file),
        ("/streamed", 1 << 20),
        ("/ended", 4000),
    ];
    join_all(responses.map(check)).await;
    server.finish().await;
}
