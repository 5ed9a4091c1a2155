//! The `callgate` command from end to end, with independent clients: curl, hyper, httpx and websockets.

mod inspector;
mod support;

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use bytes::Bytes;
use callgate_apps::Settings;
use callgate_conformance::ReplayOptions;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

use support::{Server, callgate, curl, curl_text};

/// Opens a connection with hyper's client.
async fn hyper_client(server: &Server, version: Version) -> SendRequest {
    let stream = server.url.strip_prefix("http://").unwrap();
    let stream = TokioIo::new(tokio::net::TcpStream::connect(stream).await.unwrap());
    if version == Version::HTTP_2 {
        let greeting = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let (requests, connection) = greeting.await.unwrap();
        tokio::spawn(connection);
        SendRequest::Http2(requests)
    } else {
        let (requests, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        SendRequest::Http1(requests)
    }
}

type Content = http_body_util::channel::Channel<Bytes, Infallible>;

enum SendRequest {
    Http1(hyper::client::conn::http1::SendRequest<Content>),
    Http2(hyper::client::conn::http2::SendRequest<Content>),
}

impl SendRequest {
    async fn send(&mut self, request: Request<Content>) -> Response<Incoming> {
        match self {
            Self::Http1(requests) => requests.send_request(request).await.unwrap(),
            Self::Http2(requests) => requests.send_request(request).await.unwrap(),
        }
    }
}

#[tokio::test]
async fn hypers_client_is_served_over_both_versions_while_it_still_sends() {
    let server = Server::start(&["run", "echo"]);
    // Over HTTP/2, a `host` that differs from the authority of the target is malformed.
    let host = server.url.strip_prefix("http://").unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = hyper_client(&server, version).await;
        // Several requests over the same connection.
        for _ in 0..3 {
            let (mut sender, content) = Content::new(1);
            let request = Request::post(&server.url)
                .version(version)
                .header("host", host)
                .body(content)
                .unwrap();
            sender.send_data("first, ".into()).await.unwrap();
            let mut response = client.send(request).await;
            assert_eq!(
                (response.status(), response.version()),
                (StatusCode::OK, version)
            );
            // The first part is echoed before the second is sent.
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "first, ");
            sender.send_data("second".into()).await.unwrap();
            drop(sender);
            let rest = response.into_body().collect().await.unwrap();
            assert_eq!(rest.to_bytes(), "second");
        }
    }
    // The client's connections need this thread while the server stops.
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
}

#[tokio::test]
async fn the_access_log_has_one_line_for_each_exchange_whatever_its_target() {
    let server = Server::start(&["run", "hello", "--access-log"]);
    let mut client = hyper_client(&server, Version::HTTP_2).await;
    for (target, logged) in [
        ("/plain/%0A?x=%22", "/plain/%0A?x=%22"),
        (r#"/"quoted"\"#, r#"/\"quoted\"\\"#),
    ] {
        let (_, content) = Content::new(1);
        let request = Request::get(format!("{}{target}", server.url))
            .version(Version::HTTP_2)
            .body(content)
            .unwrap();
        assert_eq!(client.send(request).await.status(), StatusCode::OK);
        let line = server.logged(" 200 ");
        let (_, entry) = line.split_once(" INFO ").unwrap();
        let (client_address, entry) = entry.split_once(" - ").unwrap();
        let client_address: SocketAddr = client_address.parse().unwrap();
        assert!(client_address.ip().is_loopback(), "{line}");
        let (exchange, time) = entry.rsplit_once(' ').unwrap();
        assert_eq!(exchange, format!("\"GET {logged} HTTP/2.0\" 200 OK"));
        assert!(time.ends_with('s'), "{line}");
    }
    drop(client);
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
}

#[test]
fn a_request_that_is_rejected_has_one_line_that_says_why() {
    let formats: [&[&str]; 4] = [
        &[],
        &["--access-log"],
        &["--access-log", "--access-log-format=json"],
        &["--access-log", "--access-log-format=combined"],
    ];
    for format in formats {
        let server = Server::start(&[&["run", "hello"], format].concat());
        let mut connection = server.connect();
        connection.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
        server.interrupt();
        let lines: Vec<String> = server.log.iter().collect();
        let reasons = lines
            .iter()
            .filter(|line| line.contains("the `host` field is missing"));
        assert_eq!(reasons.count(), 1, "{lines:?}");
        let rejections = lines.iter().filter(|line| line.contains("400"));
        // The form of Apache has no place for the reason.
        let expected = if format.contains(&"--access-log-format=combined") {
            2
        } else {
            1
        };
        assert_eq!(rejections.count(), expected, "{lines:?}");
    }
}

#[test]
fn curl_is_served_over_both_versions() {
    let server = Server::start(&["run", "gallery"]);
    for (version, number) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        let hello = format!("{}/hello/", server.url);
        assert!(!curl_text(&[version, &hello]).is_empty());
        let seen = curl_text(&[
            version,
            "-o",
            "-",
            "-w",
            "|%{http_code} %{http_version}",
            &hello,
        ]);
        assert!(seen.ends_with(&format!("|200 {number}")), "{seen}");

        let scope = curl_text(&[
            version,
            "-H",
            "x-test: 1",
            &format!("{}/scope/a?b", server.url),
        ]);
        assert!(
            scope.contains("x-test") && scope.contains("\"/scope/a\""),
            "{scope}"
        );

        let missing = format!("{}/nowhere", server.url);
        assert_eq!(
            curl_text(&[version, "-o", "/dev/null", "-w", "%{http_code}", &missing]),
            "404"
        );
    }
    server.stop();
}

#[test]
fn curl_uploads_come_back_whole() {
    let server = Server::start(&["run", "echo"]);
    let mut content = Vec::new();
    for number in 0..300_000_u32 {
        content.extend_from_slice(&number.to_le_bytes());
    }
    let path = std::env::temp_dir().join(format!("callgate-upload-{}", std::process::id()));
    std::fs::write(&path, &content).unwrap();
    let data = format!("@{}", path.display());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for encoding in ["content-type: x/y", "transfer-encoding: chunked"] {
            if version != "--http1.1" && encoding.starts_with("transfer") {
                continue;
            }
            // Over HTTP/1.1, curl asks with `expect: 100-continue` before it sends this much.
            let echoed = curl(&[version, "-H", encoding, "--data-binary", &data, &server.url]);
            assert!(echoed.stdout == content, "{version} {encoding}");
        }
    }
    std::fs::remove_file(path).unwrap();
    server.stop();
}

#[test]
fn a_recording_of_a_server_can_be_replayed_and_is_for_its_owner() {
    let path = std::env::temp_dir().join(format!("callgate-record-{}", std::process::id()));
    let file = path.to_str().unwrap();
    let server = Server::start(&["run", "gallery", "--record", file]);
    let hello = format!("{}/hello/", server.url);
    let echo = format!("{}/echo/", server.url);
    assert_eq!(curl_text(&[&hello]), "Hello, world!\n");
    assert_eq!(curl_text(&["--data", "content", &echo]), "content");
    server.stop();

    // A recording has the credentials that clients send.
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let recording = std::fs::read(&path).unwrap();
    let play = |name: &'static str| {
        let make = move || (callgate_apps::find(name).unwrap().app)(&Settings::default());
        callgate_conformance::replay(&recording[..], make, ReplayOptions::new()).unwrap()
    };
    let replay = play("gallery");
    assert!(replay.differences.is_empty(), "{replay}");
    assert_eq!(replay.exchanges, 3);
    // `hello` has no lifespan, and one response to all requests.
    assert_eq!(play("hello").differences.len(), 2);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_strict_lint_serves_exchanges_that_keep_the_rules() {
    let server = Server::start_alone(&["run", "hello", "--lint=strict"]);
    assert_eq!(curl_text(&[&server.url]), "Hello, world!\n");
    server.stop();
}

#[test]
fn curl_asks_for_the_head_alone() {
    let server = Server::start(&["run", "hello"]);
    let content = curl(&[&server.url]).stdout;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let head = curl_text(&[version, "--head", &server.url]).to_lowercase();
        let length = format!("content-length: {}\r\n", content.len());
        assert!(head.contains(&length), "{head}");
    }
    server.stop();
}

#[test]
fn clients_in_python_are_served() {
    let python = std::env::var_os("CALLGATE_PYTHON")
        .expect("CALLGATE_PYTHON is not set: run cargo xtask test, which installs it");
    for compression in ["on", "context-takeover"] {
        let flag = ["--ws-per-message-deflate", compression];
        let server = Server::start(&[&["run", "gallery"], &flag[..]].concat());
        let output = Command::new(&python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/clients/python.py"
            ))
            .arg(&server.url)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compression}: {stderr}");
        server.stop();
    }
}

#[test]
fn the_gallery_serves_the_others_when_the_database_is_down_and_names_those_that_are_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let url = format!("postgres://me:5ecret@{address}/products");
    let server = Server::start(&["run", "gallery", "--database-url", &url]);
    for name in ["brands", "brands-blocking"] {
        let line = server.startup_line(&format!("{name} is unavailable: "));
        assert!(line.contains("cannot open the database: "), "{line}");
        assert!(line.contains("refused"), "{line}");
        assert!(!line.contains("5ecret"), "{line}");
        let address = format!("{}/{name}/brands", server.url);
        let seen = curl_text(&["-w", "|%{http_code}", &address]);
        let reason = "this application is unavailable: it could not start";
        assert_eq!(seen, format!("{{\"error\":\"{reason}\"}}|503"));
    }
    let hello = format!("{}/hello/", server.url);
    assert_eq!(curl_text(&[&hello]), "Hello, world!\n");
    server.stop();
}

#[test]
fn a_port_in_use_is_one_line_and_status_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let output = callgate(&["run", "hello", "--port", &port])
        .output()
        .unwrap();
    let line = format!(
        "error: cannot listen on {address}: address already in use (choose another with --port or --bind)\n"
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_wrong_value_is_named_with_its_flag_and_status_2() {
    let output = callgate(&["run", "hello", "--port", "65536"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: invalid value '65536' for '--port <PORT>': "),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn required_lifespan_that_is_declined_is_one_line_and_status_3() {
    let output = callgate(&[
        "run",
        "hello",
        "--lifespan",
        "on",
        "--port",
        "0",
        "--log-level",
        "off",
    ])
    .output()
    .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: the application failed to start: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_signal_lets_exchanges_complete_and_a_second_signal_ends_them() {
    let server = Server::start(&["run", "echo"]);
    let ask = |server: &Server| {
        let mut stream = server.connect();
        let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na";
        stream.write_all(head.as_bytes()).unwrap();
        // The response has begun, and ends when the second byte arrives.
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n1\r\na\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.extend_from_slice(&byte);
        }
        stream
    };
    let mut stream = ask(&server);
    server.interrupt();
    server.logged("waiting for connections");
    stream.write_all(b"b").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "1\r\nb\r\n0\r\n\r\n");
    drop(stream);
    assert_eq!(server.ended().code(), Some(0));

    let server = Server::start(&["run", "echo"]);
    let stream = ask(&server);
    server.interrupt();
    server.logged("waiting for connections");
    server.interrupt();
    assert_eq!(server.ended().code(), Some(0));
    drop(stream);
}
