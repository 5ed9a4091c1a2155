//! The example serves a connection of the test.

#[expect(dead_code, reason = "the test has its own listener in place of `main`")]
#[path = "../examples/std_net.rs"]
mod std_net;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Connects to the example.
fn connect() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
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
