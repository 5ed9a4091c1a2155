//! Applications that fail in the middle of a response over HTTP/2, and expectations.

use std::time::Duration;

use crate::support::http2::{Client, request};
use crate::support::{Server, config, content, http, whole, within};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Sender};
use h2::{Reason, RecvStream};
use http::HeaderValue;

/// Reads up to the reset of the stream, and returns the length of the content before the reset.
async fn length_before_reset(mut body: RecvStream) -> usize {
    let mut length = 0;
    loop {
        match within(body.data()).await.expect("a reset before the end") {
            Ok(data) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                length += data.len();
            }
            Err(error) => {
                assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error}");
                return length;
            }
        }
    }
}

/// Sends parts of these sizes and fails as the path says.
async fn fail_after_parts(
    parts: &'static [usize],
    scope: HttpScope,
    _: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    sender.send(HttpResponseStart::ok()).await?;
    for part in parts {
        let content = vec![b'x'; *part];
        sender.send(HttpResponseBody::part(content)).await?;
    }
    match scope.raw_path() {
        "/returns" => Ok(()),
        "/fails" => Err(AppError::failed("secret")),
        "/starts" => Ok(sender.send(HttpResponseStart::ok()).await?),
        _ => panic!("secret"),
    }
}

#[tokio::test]
async fn http_33_what_was_sent_before_a_failure_reaches_the_client_before_the_reset() {
    for parts in [
        &[0][..],
        &[1],
        &[5, 0, 7],
        &[100_000],
        &[1, 300_000, 1],
        &[1 << 20, 1 << 20],
    ] {
        let server = Server::start(http(parts, fail_after_parts));
        let mut client = Client::connect(&server).await;
        for end in ["/returns", "/fails", "/starts", "/panics"] {
            let response = client.get(end).await.expect("the head");
            assert_eq!(response.status(), 200);
            let length = length_before_reset(response.into_body()).await;
            assert_eq!(length, parts.iter().sum::<usize>(), "{end} {parts:?}");
        }
        drop(client);
        server.finish().await;
    }
}

/// Answers with the length of the content, or at once for `/refuses`.
async fn length(
    (): (),
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    if scope.raw_path() == "/refuses" {
        return whole(&sender, "refused").await;
    }
    match content(&mut receiver).await {
        Some((content, _)) => whole(&sender, content.len().to_string()).await,
        None => Ok(()),
    }
}

fn expecting(path: &str) -> http::Request<()> {
    let mut request = request(path);
    *request.method_mut() = http::Method::POST;
    let value = HeaderValue::from_static("100-continue");
    request.headers_mut().insert("expect", value);
    request
}

/// The library that speaks HTTP/2 sends no interim response (a known limit).
#[tokio::test]
async fn a_client_that_waits_for_100_gets_a_final_response() {
    let mut configured = config();
    configured.timeouts.request_content = Duration::from_millis(200);
    let server = Server::with(configured, http((), length));
    let mut client = Client::connect(&server).await;
    // The application does not receive.
    let (response, _content) = client.begin(expecting("/refuses"));
    assert_eq!(within(response).await.unwrap().status(), 200);
    // The application receives, and the client waits for 100 before it sends content.
    let (response, _content) = client.begin(expecting("/"));
    assert_eq!(within(response).await.unwrap().status(), 417);
    // The client does not wait.
    let (response, mut content) = client.begin(expecting("/"));
    content.send_data("content".into(), true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    drop(client);
    server.finish().await;
}
