//! Limits on the content of requests and on the time of an exchange.

use std::time::Duration;

use callgate::{
    App, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, Sender,
};
use callgate_server::Config;
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use crate::support::{
    Client, Server, Teller, config, content, get, http, http2, post, says, tell, whole, within,
};

/// A time-out of these tests, and the time between two octets of a client that is slow.
const LIMIT: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(20);

/// Responds with the content of the request, and tells whether it has come.
fn echo(teller: Teller<bool>) -> impl App {
    http(teller, async |teller, _, mut receiver, sender| {
        let content = content(&mut receiver).await;
        teller.tell(content.is_some());
        match content {
            Some((content, _)) => whole(&sender, content).await,
            None => Ok(()),
        }
    })
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

fn post_http2() -> Request<()> {
    Request::post("http://test.example/").body(()).unwrap()
}

#[tokio::test]
async fn content_that_announces_too_much_gets_413_at_once() {
    let (teller, told) = tell();
    let server = Server::with(config().max_request_body(Some(5)), echo(teller));
    let head = "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 6\r\n\r\n";
    let response = server.ask(head).await;
    assert_eq!(
        (response.status, response.field("connection")),
        (413, Some("close"))
    );
    let mut client = http2::Client::connect(&server).await;
    let mut request = post_http2();
    request.headers_mut().insert("content-length", 6.into());
    let (response, stream) = client.begin(request);
    assert_eq!(within(response).await.unwrap().status(), 413);
    assert!(told.is_empty());
    drop((client, stream));
    server.finish().await;
}

#[tokio::test]
async fn content_that_becomes_too_large_gets_413_and_the_application_a_disconnect() {
    let (teller, mut told) = tell();
    let server = Server::with(config().max_request_body(Some(5)), echo(teller));
    let chunked = |chunks| format!("{CHUNKED}{chunks}0\r\n\r\n");
    let response = server.ask(chunked("3\r\n123\r\n2\r\n45\r\n")).await;
    assert_eq!(response.body, "12345");
    assert_eq!(server.ask(post("/", "12345")).await.body, "12345");
    assert!(told.next().await && told.next().await);
    let response = server.ask(chunked("3\r\n123\r\n3\r\n456\r\n")).await;
    assert_eq!(response.status, 413);
    assert!(!told.next().await);
    let mut client = http2::Client::connect(&server).await;
    for (octets, status) in [("12345", 200), ("123456", 413)] {
        let (response, mut stream) = client.begin(post_http2());
        stream.send_data(octets.into(), true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), status);
        assert_eq!(told.next().await, status == 200);
    }
    drop(client);
    server.finish().await;
}

fn slow(rate: u64) -> Config {
    config()
        .timeout_request_content(LIMIT)
        .timeout_write(LIMIT)
        .min_request_rate(rate)
        .min_response_rate(rate)
}

#[tokio::test]
async fn content_below_the_least_rate_gets_408() {
    let (teller, mut told) = tell();
    // A client sends one octet in 20 ms.
    let server = Server::with(slow(100), echo(teller));
    let mut client = server.connect().await;
    client.send(post("/", "").replace(": 0", ": 100000")).await;
    within(sends_slowly(&mut client)).await;
    assert_eq!(client.response().await.status, 408);
    assert!(!told.next().await);
    drop(client);
    let mut client = http2::Client::connect(&server).await;
    let (mut response, mut stream) = client.begin(post_http2());
    let sends = async {
        loop {
            stream.send_data("x".into(), false).unwrap();
            sleep(STEP).await;
        }
    };
    tokio::select! {
        biased;
        response = within(&mut response) => assert_eq!(response.unwrap().status(), 408),
        () = sends => {}
    }
    drop(client);
    server.finish().await;
}

/// Sends an octet now and then, until the server says something.
async fn sends_slowly(client: &mut Client) {
    while !client.has_input() {
        client.send("x").await;
        sleep(STEP).await;
    }
}

/// Starts the response, and then receives all content.
async fn answers_first(
    (): (),
    _: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), callgate::AppError> {
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::part("first ")).await?;
    let complete = content(&mut receiver).await.is_some();
    sender
        .send(HttpResponseBody::last(if complete {
            "complete"
        } else {
            "cut"
        }))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_in_both_directions_has_no_least_rate() {
    let server = Server::with(slow(1_000_000), http((), answers_first));
    let steps = 2 * LIMIT.as_millis() / STEP.as_millis();
    let mut client = server.connect().await;
    client.send(CHUNKED).await;
    for _ in 0..steps {
        client.send("1\r\nx\r\n").await;
        sleep(STEP).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "first complete");
    drop(client);
    let mut client = http2::Client::connect(&server).await;
    let (response, mut stream) = client.begin(post_http2());
    for _ in 0..steps {
        stream.send_data("x".into(), false).unwrap();
        sleep(STEP).await;
    }
    stream.send_data("".into(), true).unwrap();
    let body = within(response).await.unwrap().into_body();
    assert_eq!(http2::text(body).await.unwrap(), "first complete");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_response_that_is_taken_below_the_least_rate_is_cut() {
    const LENGTH: usize = 8 << 20;
    let app = http((), async |(), _, _, sender| {
        whole(&sender, vec![b'x'; LENGTH]).await
    });
    // The clients take 200 KB in a second.
    let server = Server::with_small_buffer(slow(2_000_000), app);
    let mut client = server.connect().await;
    client.send(get("/")).await;
    let mut taken = 0;
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = within(client.stream.read(&mut buffer)).await {
        taken += read;
        sleep(STEP).await;
    }
    assert!(taken < LENGTH, "{taken}");
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(4096);
    let mut client = http2::Client::with_settings(&server, &settings).await;
    let mut body = client.get("/").await.unwrap().into_body();
    let mut taken = 0;
    let end = loop {
        match within(body.data()).await {
            Some(Ok(data)) => {
                taken += data.len();
                body.flow_control().release_capacity(data.len()).unwrap();
                sleep(STEP).await;
            }
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    assert!(taken < LENGTH, "{taken}");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn content_that_is_skipped_has_a_time_limit_however_steadily_it_comes() {
    let server = Server::with(slow(0), says("no content is needed"));
    let mut client = server.connect().await;
    client.send(post("/", "").replace(": 0", ": 60000")).await;
    assert_eq!(client.response().await.status, 200);
    // The server closes the connection.
    within(sends_slowly(&mut client)).await;
    assert_eq!(client.rest().await, "");
    drop(client);
    server.finish().await;
}

/// Waits for a disconnect, after it has started the response if the path says so.
fn waits(teller: Teller<()>) -> impl App {
    http(teller, async |teller, scope, mut receiver, sender| {
        if scope.raw_path() == "/started" {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("first")).await?;
        }
        while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
        teller.tell(());
        Ok(())
    })
}

#[tokio::test]
async fn an_exchange_that_takes_too_long_gets_504_or_its_response_is_cut() {
    let (teller, mut told) = tell();
    let server = Server::with(config().timeout_request(Some(LIMIT)), waits(teller));
    assert_eq!(server.ask(get("/")).await.status, 504);
    told.next().await;
    // Without the last chunk.
    let cut = server.ask_all(get("/started")).await;
    assert!(cut.ends_with("5\r\nfirst\r\n"), "{cut}");
    told.next().await;
    let mut client = http2::Client::connect(&server).await;
    assert_eq!(client.get("/").await.unwrap().status(), 504);
    told.next().await;
    let body = client.get("/started").await.unwrap().into_body();
    http2::text(body).await.unwrap_err();
    told.next().await;
    drop(client);
    server.finish().await;
}
