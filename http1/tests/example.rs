//! The example serves a connection of the test.

#[expect(dead_code, reason = "the test has its own listener in place of `main`")]
#[path = "../examples/std_net.rs"]
mod std_net;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Returns both ends of a connection: the client's and the server's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Connects to the example.
fn connect() -> TcpStream {
    let (client, stream) = pair();
    thread::spawn(move || std_net::serve(stream).unwrap());
    client
}

/// Sends the octets to the example, closes the sending side, and returns the responses.
fn responses_to(octets: &str) -> String {
    let mut stream = connect();
    stream.write_all(octets.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    rest(stream)
}

fn rest(mut stream: TcpStream) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn the_example_answers_pipelined_requests() {
    let responses = responses_to(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\
         POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
         GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(
        responses.matches("HTTP/1.1 200 OK\r\n").count(),
        3,
        "{responses:?}"
    );
    assert!(responses.contains("\r\n\r\nhelloHTTP/1.1"), "{responses:?}");
    assert!(responses.contains("\r\n\r\nhiHTTP/1.1"), "{responses:?}");
    assert!(
        responses.ends_with("connection: close\r\n\r\n"),
        "{responses:?}"
    );
}

#[test]
fn the_example_sends_100_continue_before_it_waits_for_content() {
    let mut stream = connect();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let response = rest(stream);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response:?}");
    assert!(response.ends_with("\r\n\r\nhi"), "{response:?}");
}

#[test]
fn the_example_refuses_a_malformed_request_behind_a_good_one() {
    let good = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
    for (malformed, status, reason) in [
        (
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "400 Bad Request",
            "a line ends with LF without CR",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "400 Bad Request",
            "the size of a chunk is malformed",
        ),
        (
            "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
            "505 HTTP Version Not Supported",
            "this version of HTTP is not supported",
        ),
    ] {
        let responses = responses_to(&format!("{good}{malformed}"));
        let (first, second) = responses.split_once("\r\n\r\n").expect("two responses");
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{responses:?}");
        let status_line = format!("HTTP/1.1 {status}\r\n");
        assert!(second.starts_with(&status_line), "{responses:?}");
        let end = format!("connection: close\r\n\r\n{reason}");
        assert!(second.ends_with(&end), "{responses:?}");
    }
}

/// The longest content that the example accepts.
const LONGEST_CONTENT: usize = 1 << 20;

/// Returns a request whose content has this length.
fn post_of_length(length: usize) -> String {
    let content = "x".repeat(length);
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{content}")
}

/// Checks that this is one response, the last of its connection, without content.
#[track_caller]
fn assert_is_refusal(response: &str, status: &str) {
    let status_line = format!("HTTP/1.1 {status}\r\n");
    assert!(response.starts_with(&status_line), "{response:?}");
    let end = "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let head = response.strip_suffix(end);
    assert!(
        head.is_some_and(|head| !head.contains("\r\n\r\n")),
        "{response:?}"
    );
}

#[test]
fn the_example_responds_with_413_to_content_above_a_mebibyte() {
    let response = responses_to(&post_of_length(LONGEST_CONTENT));
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
    let (_, content) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(content.len(), LONGEST_CONTENT);
    let response = responses_to(&post_of_length(LONGEST_CONTENT + 1));
    assert_is_refusal(&response, "413 Payload Too Large");
}

#[test]
fn the_example_does_not_read_endless_content() {
    let mut stream = connect();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let is_closed = (0..1024).any(|_| stream.write_all(chunk.as_bytes()).is_err());
    assert!(is_closed, "the example has read 64 MiB");
}

#[test]
fn the_example_opens_no_tunnel() {
    let response = responses_to("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\nfirst octets");
    assert_is_refusal(&response, "501 Not Implemented");
}

/// A close with unread input would reset the connection (RFC 9112, section 9.6).
#[test]
fn the_example_loses_no_response_when_the_client_has_sent_more() {
    let more = "x".repeat(100_000);
    for (last, end) in [
        (
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "a line ends with LF without CR",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "connection: close\r\n\r\n",
        ),
    ] {
        let response = responses_to(&format!("{last}{more}"));
        assert!(response.ends_with(end), "{response:?}");
    }
}

#[test]
fn the_example_reads_on_after_its_last_response() {
    let mut stream = connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    for _ in 0..8 {
        stream.write_all(&[b'x'; 0x10000]).unwrap();
    }
}

#[test]
fn the_example_limits_the_time_of_reads_and_writes() {
    let (mut client, stream) = pair();
    let options = stream.try_clone().unwrap();
    thread::spawn(move || std_net::serve(stream).unwrap());
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    assert!(options.read_timeout().unwrap().is_some());
    assert!(options.write_timeout().unwrap().is_some());
}

#[test]
fn the_example_serves_connections_after_one_that_cannot_be_accepted() {
    let (mut client, stream) = pair();
    std_net::serve_all([Err(ErrorKind::ConnectionAborted.into()), Ok(stream)].into_iter());
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    let response = rest(client);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response:?}");
}
