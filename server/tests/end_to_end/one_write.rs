//! Responses of one moment leave in one write.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Server, get, says, within};

const ROUNDS: usize = 100;
const REQUESTS: usize = 16;

/// A client that waits actively: it reads as soon as there is anything, and so sees the first of
/// several writes alone, at least now and then.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(server: &Server) -> Self {
        Self {
            stream: server.connect().await.stream.into_std().unwrap(),
            buffer: vec![0; 64 * 1024],
        }
    }

    fn exchange(&mut self, requests: &[u8]) -> &[u8] {
        self.stream.write_all(requests).unwrap();
        loop {
            match self.stream.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                read => {
                    let read = read.unwrap();
                    assert!(read > 0, "the server is gone");
                    return &self.buffer[..read];
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn those_to_pipelined_requests() {
    let server = Server::start(says("x"));
    let mut client = Client::connect(&server).await;
    let rounds = tokio::task::spawn_blocking(move || {
        let requests = get("/").repeat(REQUESTS);
        for _ in 0..ROUNDS {
            let responses = client.exchange(requests.as_bytes());
            let responses = String::from_utf8_lossy(responses);
            assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), REQUESTS);
        }
    });
    within(rounds).await.unwrap();
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn those_on_one_http2_connection() {
    let server = Server::start(says("x"));
    let mut client = Client::connect(&server).await;
    let rounds = tokio::task::spawn_blocking(move || {
        let mut received =
            Vec::from(client.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
        let mut streams = (1..).step_by(2).map(http2_get);
        // What belongs to the beginning of the connection is over with its first exchange.
        received.extend(client.exchange(&streams.next().unwrap()));
        while http2_ends(&received) < 1 {
            received.extend(client.exchange(b""));
        }
        for _ in 0..ROUNDS {
            let requests: Vec<u8> = streams.by_ref().take(REQUESTS).flatten().collect();
            assert_eq!(http2_ends(client.exchange(&requests)), REQUESTS);
        }
    });
    within(rounds).await.unwrap();
    server.finish().await;
}

/// GET of `/` from `test`, as a HEADERS frame that ends the stream.
fn http2_get(stream: u32) -> Vec<u8> {
    let fields = b"\x82\x86\x84\x01\x04test";
    let mut frame = vec![0, 0, 9, 0x1, 0x4 | 0x1];
    frame.extend(stream.to_be_bytes());
    frame.extend(fields);
    frame
}

/// How many DATA frames that end their stream are among these frames, which are whole.
fn http2_ends(mut frames: &[u8]) -> usize {
    let mut ends = 0;
    while let [a, b, c, kind, flags, rest @ ..] = frames {
        ends += usize::from(*kind == 0x0 && flags & 0x1 != 0);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        // Behind the stream's number.
        frames = &rest[4 + length..];
    }
    ends
}
