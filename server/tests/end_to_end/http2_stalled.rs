//! Transfers over HTTP/2 that make no progress: each ends by time, and the streams beside it go on.

use std::time::{Duration, Instant};

use crate::support::frames::{FIN, TEXT, frame};
use crate::support::http2::{Client, open, request};
use crate::support::http2_frames::{
    self as frames, INITIAL_WINDOW_SIZE, LARGEST_WINDOW, PING, RawClient,
};
use crate::support::{OnDrop, Server, Teller, config, content, http, tell, whole, within};
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, Scope,
    Sender, WebSocketAccept,
};
use callgate_server::Config;
use futures_util::future::join_all;
use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long a transfer may make no progress in these tests.
const LIMIT: Duration = Duration::from_millis(400);

fn impatient(app: impl App) -> Server {
    Server::with(impatient_config(), app)
}

fn impatient_config() -> Config {
    let mut configured = config();
    configured.timeouts.request_content = LIMIT;
    configured.timeouts.write = LIMIT;
    // A stalled exchange is not an idle connection.
    configured.timeouts.keep_alive = LIMIT / 4;
    configured
}

/// Answers as the path says, and tells when the future is dropped or has returned.
async fn serve(
    teller: Teller<&'static str>,
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let _dropped = match scope.raw_path() {
        "/usable" => return whole(&sender, "usable").await,
        _ => OnDrop::tell(&teller, "over"),
    };
    match scope.raw_path() {
        "/content" => {
            let is_whole = content(&mut receiver).await.is_some();
            teller.tell(if is_whole { "whole" } else { "disconnected" });
            whole(&sender, "content").await
        }
        "/content-while-streaming" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            content(&mut receiver).await;
            teller.tell("disconnected");
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
        "/both-ways" => {
            sender.send(HttpResponseStart::ok()).await?;
            let streaming = async {
                for _ in 0..12 {
                    tokio::time::sleep(LIMIT / 4).await;
                    sender.send(HttpResponseBody::part("x")).await?;
                }
                Ok::<_, AppError>(())
            };
            let (content, streamed) = tokio::join!(content(&mut receiver), streaming);
            streamed?;
            let (content, _) = content.ok_or(AppError::failed("there is no content"))?;
            Ok(sender.send(HttpResponseBody::last(content)).await?)
        }
        "/small" => whole(&sender, vec![b'x'; 4000]).await,
        "/medium" => whole(&sender, vec![b'x'; 20_000]).await,
        "/large" => whole(&sender, vec![b'x'; 1 << 20]).await,
        "/fails" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            Err(AppError::failed("secret"))
        }
        "/ends" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
        _ => {
            sender.send(HttpResponseStart::ok()).await?;
            let part = bytes::Bytes::from(vec![b'x'; 10_000]);
            loop {
                sender.send(HttpResponseBody::part(part.clone())).await?;
            }
        }
    }
}

#[tokio::test]
async fn content_that_stalls_is_answered_408_although_the_connection_lives() {
    let (teller, mut told) = tell();
    let server = impatient(http(teller, serve));
    let mut client = Client::connect(&server).await;
    let (response, mut content) = client.begin(request("/content"));
    content.send_data("begun".into(), false).unwrap();
    let start = Instant::now();
    let response = within(response).await.unwrap();
    assert_eq!(response.status(), 408);
    assert!(start.elapsed() >= LIMIT / 2, "{:?}", start.elapsed());
    assert_eq!(told.next().await, "disconnected");
    assert_eq!(told.next().await, "over");
    assert_eq!(client.text("/usable").await, "usable");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn without_a_least_rate_content_that_makes_progress_is_taken_however_slow() {
    let (teller, mut told) = tell();
    let server = Server::with(impatient_config().min_request_rate(0), http(teller, serve));
    let mut client = Client::connect(&server).await;
    let (response, mut content) = client.begin(request("/content"));
    for _ in 0..6 {
        tokio::time::sleep(LIMIT / 2).await;
        content.send_data("x".into(), false).unwrap();
    }
    content.send_data("x".into(), true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    assert_eq!(told.next().await, "whole");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn content_that_stalls_during_a_response_cuts_it_after_what_was_sent() {
    let (teller, mut told) = tell();
    let server = impatient(http(teller, serve));
    let mut client = Client::connect(&server).await;
    let (response, _content) = client.begin(request("/content-while-streaming"));
    let mut body = within(response).await.unwrap().into_body();
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "begun");
    let error = within(body.data()).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(told.next().await, "disconnected");
    assert_eq!(client.text("/usable").await, "usable");
    drop(client);
    server.finish().await;
}

/// A client that takes a streamed response is there, though it sends nothing.
#[tokio::test]
async fn content_may_be_silent_for_as_long_as_the_response_makes_progress() {
    let (teller, _) = tell();
    let server = impatient(http(teller, serve));
    let mut client = Client::connect(&server).await;
    let (response, mut content) = client.begin(request("/both-ways"));
    let mut body = within(response).await.unwrap().into_body();
    for _ in 0..12 {
        assert_eq!(within(body.data()).await.unwrap().unwrap(), "x");
    }
    content.send_data("content".into(), true).unwrap();
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "content");
    drop((client, body));
    server.finish().await;
}

#[tokio::test]
async fn a_response_without_window_is_reset_and_other_streams_go_on() {
    let paths = ["/streamed", "/large", "/small", "/fails", "/ends"];
    let windows = [
        (0, &paths[..]),
        (2, &["/streamed", "/large", "/fails", "/ends"]),
        (5, &["/streamed", "/large"]),
    ];
    let checks = (windows.into_iter())
        .flat_map(|(window, paths)| paths.iter().map(move |path| check_reset(window, path)));
    join_all(checks).await;
}

/// Checks that the response for a path is reset, to a client with this window for each stream.
async fn check_reset(window: u32, path: &str) {
    let (teller, mut told) = tell();
    let server = impatient(http(teller, serve));
    let mut client = RawClient::connect(&server, &[(INITIAL_WINDOW_SIZE, window)]).await;
    let start = Instant::now();
    client.get(1, path).await;
    // Pings and other streams are no progress of this stream.
    client.send(PING, 0, 0, &[0; 8]).await;
    let reset = client.frame_of(frames::RST_STREAM).await;
    let reset = reset.unwrap_or_else(|| panic!("{path}: the connection ended"));
    assert_eq!(reset.stream, 1, "{path}");
    assert!(
        start.elapsed() >= LIMIT / 2,
        "{path}: {:?}",
        start.elapsed()
    );
    assert_eq!(told.next().await, "over", "{path}");
    client.get(3, "/usable").await;
    client.extend_window(3, 100).await;
    let mut content = Vec::new();
    loop {
        let frame = client.frame_of(frames::DATA).await.expect("the content");
        assert_eq!(frame.stream, 3);
        content.extend(frame.payload);
        if frame.flags & frames::END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(content, b"usable");
    drop(client);
    server.finish().await;
}

/// A stream cannot be reset any more when the library that speaks HTTP/2 has its end (a known
/// limit).
#[tokio::test]
async fn a_connection_ends_when_a_complete_response_gets_too_small_a_window() {
    let (teller, _) = tell();
    let server = impatient(http(teller, serve));
    let mut client = RawClient::connect(&server, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    let start = Instant::now();
    client.get(1, "/small").await;
    // The connection is in use.
    let mut stream = 3;
    while let Some(frame) = client.frame_of(frames::DATA).await {
        if frame.flags & frames::END_STREAM == 0 && stream > 3 {
            continue;
        }
        tokio::time::sleep(LIMIT / 20).await;
        client.get(stream, "/usable").await;
        client.extend_window(stream, 100).await;
        stream += 2;
    }
    assert!(start.elapsed() >= LIMIT / 2, "{:?}", start.elapsed());
    server.finish().await;
}

#[tokio::test]
async fn a_response_that_makes_progress_is_written_however_slow() {
    let (teller, _) = tell();
    let server = impatient(http(teller, serve));
    let read = async |path, length: u32| {
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(length / 7);
        let mut client = Client::with_settings(&server, &settings).await;
        let mut body = client.get(path).await.unwrap().into_body();
        let mut left = length as usize;
        while let Some(data) = within(body.data()).await {
            let taken = data.unwrap().len();
            left -= taken;
            tokio::time::sleep(LIMIT / 2).await;
            body.flow_control().release_capacity(taken).unwrap();
        }
        assert_eq!(left, 0, "{path}");
    };
    tokio::join!(read("/small", 4000), read("/medium", 20_000));
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let (teller, mut told) = tell();
    let server = impatient(http(teller, serve));
    let settings = [(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)];
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    client.get(1, "/streamed").await;
    assert_eq!(told.next().await, "over");
    assert!(client.rest(frames::RST_STREAM).await.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_pings_and_reads_nothing_is_cut_off() {
    let (teller, _) = tell();
    let server = impatient(http(teller, serve));
    let mut client = RawClient::connect_with_small_buffer(&server, &[]).await;
    // The connection is in use, so that it does not end as an idle one.
    client
        .send_fields(0, 1, &frames::head("POST", "/usable"))
        .await;
    let pings = frames::frame(PING, 0, 0, &[0; 8]).repeat(1000);
    within(async { while client.stream.write_all(&pings).await.is_ok() {} }).await;
    server.finish().await;
}

#[tokio::test]
async fn a_websocket_without_window_ends_with_its_stream() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.write = LIMIT;
    configured.websocket.ping_interval = Some(LIMIT / 4);
    configured.websocket.ping_timeout = Some(LIMIT / 4);
    let app = move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let teller = teller.clone();
        async move {
            let Scope::WebSocket(_) = scope else {
                return Err(AppError::Unsupported);
            };
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            while !matches!(
                receiver.receive().await,
                ReceiveEvent::WebSocketDisconnect(_)
            ) {}
            teller.tell("disconnected");
            Ok(())
        }
    };
    let server = Server::with(configured, app);
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(0);
    let mut client = Client::with_settings(&server, &settings).await;
    let (response, mut stream) = open(&mut client, "/").await;
    assert_eq!(told.next().await, "disconnected");
    // The session ends with its input.
    stream.send_data(frame(FIN | TEXT, "x").into(), true).ok();
    let error = within(response.into_body().data()).await.unwrap();
    assert_eq!(error.unwrap_err().reason(), Some(Reason::CANCEL));
    assert!(!client.connection.is_finished());
    drop(client);
    server.finish().await;
}

/// A socket that is full delays all streams: that is no fault of one of them.
#[tokio::test]
async fn streams_that_share_a_slow_connection_are_not_reset() {
    const STREAMS: usize = 40;
    let (teller, mut told) = tell();
    let server = Server::with_small_buffer(impatient_config(), http(teller, serve));
    let settings = [(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)];
    let mut client = RawClient::connect_with_small_buffer(&server, &settings).await;
    client.extend_window(0, LARGEST_WINDOW - 65_535).await;
    for stream in (1..).step_by(2).take(STREAMS) {
        client.get(stream, "/streamed").await;
    }
    // In the time between two frames of one stream, the connection takes those of the others.
    let mut octets = [0; 4096];
    let start = Instant::now();
    while start.elapsed() < 4 * LIMIT {
        within(client.stream.read_exact(&mut octets)).await.unwrap();
        tokio::time::sleep(LIMIT / 40).await;
    }
    assert!(told.is_empty(), "a stream was reset");
    drop(client);
    for _ in 0..STREAMS {
        assert_eq!(told.next().await, "over");
    }
    server.finish().await;
}
