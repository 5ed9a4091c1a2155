//! The example is run and asked.

#[expect(dead_code, reason = "the test has its own listener in place of `main`")]
#[path = "../examples/std_net.rs"]
mod std_net;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Sends the octets to the example, closes the sending side, and returns the responses.
fn responses_to(octets: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || std_net::serve(&listener));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(octets.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut responses = String::new();
    stream.read_to_string(&mut responses).unwrap();
    responses
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
fn the_example_refuses_a_malformed_request() {
    let responses = responses_to("GET / HTTP/1.1\r\nhost: a\n\r\n");
    assert!(
        responses.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{responses:?}"
    );
    assert!(
        responses.ends_with("\r\n\r\na line ends with LF without CR"),
        "{responses:?}"
    );
}
