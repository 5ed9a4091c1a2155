//! What keeps an HTTP/2 connection from being an idle one.

use std::time::Duration;

use crate::http2::{Client, open, text};
use crate::support::frames::{FIN, TEXT, frame};
use crate::support::{Server, config, http, websocket, whole, within};
use callgate::{App, HttpResponseBody, HttpResponseStart, ReceiveEvent, WebSocketAccept};

/// A server whose connections may be idle for as good as no time.
fn impatient(app: impl App) -> Server {
    let mut configured = config();
    configured.timeout_keep_alive = Duration::from_millis(50);
    configured.timeout_request_head = Duration::from_millis(50);
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
    tokio::time::sleep(Duration::from_secs(1)).await;
    let message = frame(FIN | TEXT, "still there");
    stream.send_data(message.into(), false).unwrap();
    let data = within(body.data()).await.unwrap().unwrap();
    assert_eq!(data[2..], *b"still there");
    drop((client, stream, body));
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_takes_its_time_with_a_response_gets_all_of_it() {
    const LENGTH: usize = 1 << 20;
    let server = impatient(http((), async |(), scope, _, sender| {
        let content = vec![b'x'; LENGTH];
        if scope.raw_path() == "/whole" {
            return whole(&sender, content).await;
        }
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("")).await?;
        sender.send(HttpResponseBody::last(content)).await?;
        Ok(())
    }));
    for path in ["/whole", "/streamed"] {
        let mut client = Client::connect(&server).await;
        let body = client.get(path).await.unwrap().into_body();
        // Until then there is no room for more than the first 64 KiB.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(text(body).await.unwrap().len(), LENGTH, "{path}");
    }
    server.finish().await;
}
