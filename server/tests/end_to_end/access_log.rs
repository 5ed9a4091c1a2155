//! The access log: a line for each exchange, when it has ended.

use std::io::{self, BufRead as _};
use std::path::Path;
use std::time::Duration;

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, Sender,
};
use callgate_server::Config;
use callgate_server::config::AccessLogFormat;
use serde_json::Value;

use crate::support::frames::{FIN, TEXT, close, frame};
use crate::support::http2::{self, octets};
use crate::support::websocket;
use crate::support::websocket::exclaim;
use crate::support::{Server, config, content, get, http, within};

/// A file of the access log, and the lines that have been read.
struct AccessLog {
    directory: tempfile::TempDir,
    read: usize,
}

impl AccessLog {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            read: 0,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("access.log")
    }

    fn config(&self, format: AccessLogFormat) -> Config {
        config()
            .access_log(true)
            .access_log_format(format)
            .access_log_file(Some(self.path()))
    }

    /// Returns the next line once it has been written.
    async fn line(&mut self) -> String {
        let line = within(async {
            loop {
                if let Some(line) = line_of(&self.path(), self.read) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let line = line.await;
        self.read += 1;
        line
    }

    async fn entry(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }
}

fn line_of(path: &Path, number: usize) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let mut lines = io::BufReader::new(&*text).lines();
    let line = lines.nth(number)?.unwrap();
    let is_whole = text.ends_with(b"\n") || lines.next().is_some();
    is_whole.then_some(line)
}

/// The content of a large response, in octets: more than the system buffers.
const LARGE: usize = 16 * 1024 * 1024;

/// Serves as the path says.
async fn serve(
    (): (),
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope.raw_path() {
        "/echo" => {
            let content = content(&mut receiver)
                .await
                .map_or(Vec::new(), |(content, _)| content);
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part(content)).await?;
            Ok(sender.send(HttpResponseBody::last("!")).await?)
        }
        "/empty" => {
            sender
                .send(HttpResponseStart::new(http::StatusCode::NO_CONTENT))
                .await?;
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
        "/fails" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            Err(AppError::failed("on purpose"))
        }
        "/large" => {
            sender.send(HttpResponseStart::ok()).await?;
            let content = vec![b'x'; LARGE];
            Ok(sender.send(HttpResponseBody::last(content)).await?)
        }
        _ => loop {
            if receiver.receive().await == ReceiveEvent::HttpDisconnect {
                return Ok(());
            }
        },
    }
}

fn start(log: &AccessLog) -> Server {
    let config = log.config(AccessLogFormat::Json);
    let config = config.timeout_half_close(Duration::from_millis(20));
    Server::with(config, http((), serve))
}

/// Asserts the fields of an entry.
fn assert_entry(entry: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(&entry[name], value, "{name} of {entry}");
    }
}

#[tokio::test]
async fn a_complete_exchange_over_http_1_has_a_line_with_all_that_is_known() {
    let mut log = AccessLog::new();
    let server = start(&log);
    let request = "POST /echo?a=b HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\
                   user-agent: \"curl\"\\\r\nreferer: http://test/\r\n\r\nhello";
    assert_eq!(server.ask(request).await.status, 200);
    let entry = log.entry().await;
    assert_entry(
        &entry,
        &[
            ("method", "POST".into()),
            ("target", "/echo?a=b".into()),
            ("version", "HTTP/1.1".into()),
            ("websocket", false.into()),
            ("status", 200.into()),
            ("bytes_in", 5.into()),
            ("bytes_out", 6.into()),
            ("user_agent", "\"curl\"\\".into()),
            ("referrer", "http://test/".into()),
            ("tls", Value::Null),
            ("outcome", "complete".into()),
        ],
    );
    assert!(entry["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    let [until, whole] = ["until_response", "duration"].map(|it| entry[it].as_f64().unwrap());
    assert!(0.0 < until && until <= whole, "{entry}");
    server.finish().await;
}

#[tokio::test]
async fn content_that_comes_in_chunks_is_counted_without_their_frames() {
    let mut log = AccessLog::new();
    let server = start(&log);
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "abcde!");
    let entry = log.entry().await;
    assert_entry(&entry, &[("bytes_in", 5.into()), ("bytes_out", 6.into())]);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn requests_that_are_rejected_have_a_line_even_without_a_request_line() {
    let mut log = AccessLog::new();
    let server = start(&log);
    server.ask("\0\0garbage\r\n\r\n").await;
    let expected = [
        ("method", Value::Null),
        ("status", 400.into()),
        ("outcome", "complete".into()),
    ];
    let entry = log.entry().await;
    assert_entry(&entry, &expected);
    assert!(
        entry["reason"].as_str().unwrap().contains("malformed"),
        "{entry}"
    );
    let request = crate::support::frames::handshake("/old", "");
    server
        .ask(request.replace("version: 13", "version: 12"))
        .await;
    let expected = [("target", "/old".into()), ("status", 426.into())];
    assert_entry(&log.entry().await, &expected);
    server.finish().await;
}

#[tokio::test]
async fn the_line_says_how_an_exchange_over_http_1_ended() {
    let mut log = AccessLog::new();
    let server = start(&log);
    server.ask_all(get("/fails")).await;
    let expected = [
        ("bytes_out", 5.into()),
        ("outcome", "cut_by_application".into()),
    ];
    assert_entry(&log.entry().await, &expected);

    let mut client = server.connect().await;
    client.send(get("/waits")).await;
    drop(client);
    let entry = log.entry().await;
    let expected = [("status", Value::Null), ("outcome", "client_gone".into())];
    assert_entry(&entry, &expected);

    let mut client = server.connect().await;
    client.send(get("/large")).await;
    client.head().await;
    drop(client);
    let entry = log.entry().await;
    let expected = [("status", 200.into()), ("outcome", "client_gone".into())];
    assert_entry(&entry, &expected);
    assert!(
        entry["bytes_out"].as_u64().unwrap() < LARGE as u64,
        "{entry}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_response_is_complete_when_it_has_been_written_and_not_before() {
    let mut log = AccessLog::new();
    let configured = log
        .config(AccessLogFormat::Json)
        .timeout_write(Duration::from_millis(300));
    let server = Server::with_small_buffer(configured, http((), serve));
    let mut slow = server.connect().await;
    slow.send(get("/large")).await;
    slow.head().await;
    let entry = log.entry().await;
    assert_entry(&entry, &[("outcome", "timed_out".into())]);
    let slow = http2::Client::connect(&server).await;
    let mut requests = slow.requests.clone();
    let (response, _) = requests
        .send_request(http2::request("/large"), true)
        .unwrap();
    let response = within(response).await.unwrap();
    // The client extends no window.
    let entry = log.entry().await;
    let expected = [
        ("version", "HTTP/2.0".into()),
        ("outcome", "timed_out".into()),
    ];
    assert_entry(&entry, &expected);
    drop((response, requests, slow));
    server.finish().await;
}

#[tokio::test]
async fn exchanges_over_http_2_have_the_same_lines() {
    let mut log = AccessLog::new();
    let server = start(&log);
    let mut client = http2::Client::connect(&server).await;
    let mut post = http2::request("/echo");
    *post.method_mut() = http::Method::POST;
    let (response, mut stream) = client.begin(post);
    stream.send_data("hello".into(), true).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(http2::text(response.into_body()).await.unwrap(), "hello!");
    let expected = [
        ("method", "POST".into()),
        ("version", "HTTP/2.0".into()),
        ("status", 200.into()),
        ("bytes_in", 5.into()),
        ("bytes_out", 6.into()),
        ("outcome", "complete".into()),
    ];
    assert_entry(&log.entry().await, &expected);

    // A head without content has no data frame whose end could be seen.
    client.get("/empty").await.unwrap();
    let expected = [("status", 204.into()), ("outcome", "complete".into())];
    assert_entry(&log.entry().await, &expected);

    http2::text(client.get("/fails").await.unwrap().into_body())
        .await
        .unwrap_err();
    let expected = [
        ("bytes_out", 5.into()),
        ("outcome", "cut_by_application".into()),
    ];
    assert_entry(&log.entry().await, &expected);

    let (response, mut stream) = client.begin(http2::request("/waits"));
    stream.send_reset(h2::Reason::CANCEL);
    let expected = [("status", Value::Null), ("outcome", "client_gone".into())];
    assert_entry(&log.entry().await, &expected);
    drop((response, stream, client));
    server.finish().await;
}

fn echo() -> impl callgate::App {
    websocket((), async |(), _, receiver, sender| {
        exclaim(receiver, sender).await
    })
}

#[tokio::test]
async fn the_line_of_a_websocket_is_written_when_its_session_is_over() {
    let mut log = AccessLog::new();
    let server = Server::with(log.config(AccessLogFormat::Json), echo());
    let mut client = crate::support::frames::open(&server, "/chat").await;
    client.send(frame(FIN | TEXT, "hello")).await;
    assert_eq!(client.message().await, "hello!");
    client.send(close(1000, "")).await;
    client.close_frame().await;
    drop(client);
    let expected = [
        ("method", "GET".into()),
        ("websocket", true.into()),
        ("status", 101.into()),
        ("bytes_in", 5.into()),
        ("bytes_out", 6.into()),
        ("outcome", "complete".into()),
    ];
    assert_entry(&log.entry().await, &expected);

    drop(crate::support::frames::open(&server, "/chat").await);
    assert_entry(&log.entry().await, &[("outcome", "client_gone".into())]);

    let mut client = http2::Client::connect(&server).await;
    let (response, mut stream) = http2::open(&mut client, "/chat").await;
    let mut body = response.into_body();
    stream
        .send_data(frame(FIN | TEXT, "hi").into(), false)
        .unwrap();
    octets(&mut body, 5).await;
    stream.send_data(close(1000, "").into(), true).unwrap();
    let expected = [
        ("method", "CONNECT".into()),
        ("websocket", true.into()),
        ("status", 200.into()),
        ("bytes_out", 3.into()),
        ("outcome", "complete".into()),
    ];
    assert_entry(&log.entry().await, &expected);
    drop((stream, body, client));
    server.finish().await;
}

#[tokio::test]
async fn each_form_has_its_lines_and_no_client_can_forge_one() {
    let request =
        "GET /empty?{x} HTTP/1.1\r\nhost: test\r\nuser-agent: a\"b\\\u{85}\u{2028}\u{202e}\r\n\r\n";
    for (format, before, behind) in [
        (
            AccessLogFormat::Text,
            "Z 127.0.0.1:",
            r#" - "GET /empty?{x} HTTP/1.1" 204 No Content "#,
        ),
        (
            AccessLogFormat::Combined,
            "127.0.0.1 - - [",
            r#" +0000] "GET /empty?{x} HTTP/1.1" 204 0 "-" "a\"b\\\u{85}\u{2028}\u{202e}""#,
        ),
        (
            AccessLogFormat::Json,
            r#"{"time":""#,
            r#""user_agent":"a\"b\\\u0085\u2028\u202e","#,
        ),
    ] {
        let mut log = AccessLog::new();
        let server = Server::with(log.config(format), http((), serve));
        assert_eq!(server.ask(request).await.status, 204);
        let line = log.line().await;
        let (_, rest) = line.split_once(before).expect(&line);
        assert!(rest.contains(behind), "{line}");
        server.finish().await;
    }
}

#[tokio::test]
async fn an_access_log_that_cannot_be_opened_is_an_error_of_its_setting() {
    let configured = config()
        .access_log(true)
        .access_log_file(Some("/no/such/directory/access.log".into()));
    let mut server = Server::with(configured, http((), serve));
    let error = server.ended().await.unwrap_err();
    let expected = "cannot open the log file /no/such/directory/access.log: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_request_has_the_identifier_of_a_trusted_proxy_or_a_new_one() {
    async fn tell(_: (), scope: HttpScope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let id = scope.headers["x-request-id"].to_str().unwrap().to_owned();
        let mut start = HttpResponseStart::ok();
        if scope.raw_path() == "/own" {
            start = start.header("x-request-id", "own");
        }
        sender.send(start).await?;
        Ok(sender.send(HttpResponseBody::last(id)).await?)
    }

    let request = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: test\r\nx-request-id: from-the-proxy\r\n\r\n")
    };
    for (trusted, is_taken) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let mut log = AccessLog::new();
        let configured = log
            .config(AccessLogFormat::Json)
            .request_id(true)
            .forwarded_allow_ips(trusted.parse().unwrap());
        let server = Server::with(configured, http((), tell));
        let response = server.ask(request("/")).await;
        let id = response.field("x-request-id").unwrap();
        assert_eq!(response.body, id);
        assert_eq!(id == "from-the-proxy", is_taken, "{id}");
        assert_entry(&log.entry().await, &[("request_id", id.into())]);
        let response = server.ask(request("/own")).await;
        assert_eq!(response.all("x-request-id"), ["own"]);
        log.entry().await;

        let mut client = http2::Client::connect(&server).await;
        let response = client.get("/").await.unwrap();
        let id = response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(http2::text(response.into_body()).await.unwrap(), id);
        assert_entry(&log.entry().await, &[("request_id", id.into())]);
        drop(client);
        server.finish().await;
    }
}
