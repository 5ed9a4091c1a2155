use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::TestServer;
use crate::http_client;

async fn connect(server: &TestServer) -> TcpStream {
    let address = server.url("").replace("http://", "");
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn content_of_any_length_is_sent_and_counted() {
    let server = TestServer::start("stream");
    let url = server.url("/download?bytes=20000000");
    let mut response = http_client::get(url).await.unwrap();
    assert_eq!(response.content_length(), Some(20_000_000));
    let mut bytes = 0;
    while let Some(part) = response.chunk().await.unwrap() {
        bytes += part.len();
    }
    assert_eq!(bytes, 20_000_000);

    let upload = http_client::new().put(server.url("/upload"));
    let response = upload.body(vec![b'x'; 20_000_000]).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), r#"{"bytes":20000000}"#);
    server.stop().await;
}

#[tokio::test]
async fn events_end_in_order_when_the_server_shuts_down() {
    let server = TestServer::start("stream");
    let mut response = http_client::get(server.url("/events")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let event = response.chunk().await.unwrap().unwrap();
    assert!(event.starts_with(b"id: 1\n"), "{event:?}");
    let reading = async {
        let mut rest = Vec::new();
        // The response ends without an error.
        while let Some(part) = response.chunk().await.unwrap() {
            rest.extend_from_slice(&part);
        }
        rest
    };
    let stopping = async { tokio::join!(server.stop(), reading) };
    let stopped = tokio::time::timeout(Duration::from_secs(20), stopping).await;
    let ((), rest) = stopped.expect("the events end, and the server with them");
    // Another event may have come before the shutdown.
    let last = rest.split(|byte| *byte == b'\n').rev().nth(2).unwrap();
    assert!(last.starts_with(b"retry: "), "{}", rest.escape_ascii());
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let server = TestServer::start("stream");
    let head = "host: test\r\ncontent-length: 1000000\r\n\r\nsome of it";
    for request in [
        "GET /events HTTP/1.1\r\nhost: test\r\n\r\n",
        "GET /download?bytes=1099511627776 HTTP/1.1\r\nhost: test\r\n\r\n",
    ] {
        let mut client = connect(&server).await;
        client.write_all(request.as_bytes()).await.unwrap();
        client.read_exact(&mut [0; 15]).await.unwrap();
    }
    let mut client = connect(&server).await;
    client
        .write_all(format!("PUT /upload HTTP/1.1\r\n{head}").as_bytes())
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    let _ = client.read_to_end(&mut Vec::new()).await;
    // The server waits for the end of every call.
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.stop()).await;
    stopped.expect("every call has ended");
}
