use std::time::Duration;

use callgate_apps::stream::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::TestServer;

async fn connect(server: &TestServer) -> TcpStream {
    let address = server.url("").replace("http://", "");
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn content_of_any_length_is_sent_and_counted() {
    let server = TestServer::start("stream");
    let url = server.url("/download?bytes=20000000");
    let mut response = reqwest::get(url).await.unwrap();
    assert_eq!(response.content_length(), Some(20_000_000));
    let mut bytes = 0;
    while let Some(part) = response.chunk().await.unwrap() {
        bytes += part.len();
    }
    assert_eq!(bytes, 20_000_000);

    let upload = reqwest::Client::new().put(server.url("/upload"));
    let response = upload.body(vec![b'x'; 20_000_000]).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), r#"{"bytes":20000000}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_does_not_hold_up_the_end_of_the_server_for_long() {
    let server = TestServer::app(Stream::new(Duration::from_millis(100)));
    let mut response = reqwest::get(server.url("/events")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");

    // The response is whole when it ends.
    let reading = async { while response.chunk().await.unwrap().is_some() {} };
    let stopping = async { tokio::join!(server.stop(), reading) };
    let stopped = tokio::time::timeout(Duration::from_secs(30), stopping).await;
    stopped.expect("the events end");
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
    // The server waits for every call that it has made.
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.stop()).await;
    stopped.expect("every call has ended");
}
