//! The memory that an idle connection takes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::server::{Contender, Running};

/// A kind of idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1, kept alive after one request.
    KeepAlive,
    /// A WebSocket, after its handshake.
    WebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::KeepAlive, Self::WebSocket];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::WebSocket => "WebSocket",
        }
    }

    pub(crate) fn contenders(self) -> &'static [Contender] {
        match self {
            Self::KeepAlive => &[Contender::BareHyper, Contender::Callgate],
            Self::WebSocket => &[Contender::Callgate],
        }
    }

    /// Returns the goal of Callgate.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::KeepAlive => "<= 18 KB",
            Self::WebSocket => "<= 16 KB",
        }
    }

    fn app(self) -> &'static str {
        match self {
            Self::KeepAlive => "hello",
            Self::WebSocket => "echo",
        }
    }

    fn request(self) -> &'static [u8] {
        match self {
            Self::KeepAlive => b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Self::WebSocket => {
                b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n\
                connection: upgrade\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
        }
    }

    /// Returns the first and the last bytes of the server's answer.
    fn answer(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::KeepAlive => (b"HTTP/1.1 200 ", b"Hello, world!\n"),
            Self::WebSocket => (b"HTTP/1.1 101 ", b"\r\n\r\n"),
        }
    }
}

/// The number of connections. All of them are open before the idle time-out of the server, 5 s,
/// closes the first.
const CONNECTIONS: usize = 2_000;
/// The number of connections that are open before the first measurement, so that the server has
/// made its one-time allocations.
const WARM_UP: usize = 20;

/// Returns the memory that one connection takes, in bytes.
pub(crate) fn measure(kind: Kind, contender: Contender) -> io::Result<f64> {
    let server = Running::start(contender, kind.app())?;
    let _first = open(kind, server.address(), WARM_UP)?;
    let before = server.memory_now()?;
    let connections = open(kind, server.address(), CONNECTIONS)?;
    // The answers have arrived, but the server may not have freed the memory of the last one yet.
    thread::sleep(Duration::from_millis(100));
    let after = server.memory_now()?;
    for connection in &connections {
        connection.set_nonblocking(true)?;
        match connection.peek(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => {
                return Err(io::Error::other(format!(
                    "{}: an idle connection is not idle: {other:?}",
                    contender.name()
                )));
            }
        }
    }
    Ok((after as f64 - before as f64) / CONNECTIONS as f64)
}

fn open(kind: Kind, address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| open_one(kind, address)).collect()
}

fn open_one(kind: Kind, address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(kind.request())?;
    let (begin, end) = kind.answer();
    let mut buffer = [0; 1024];
    let mut filled = 0;
    while !buffer[..filled].ends_with(end) {
        match stream.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let answer = &buffer[..filled];
    if answer.starts_with(begin) && answer.ends_with(end) {
        Ok(stream)
    } else {
        let answer = String::from_utf8_lossy(answer);
        Err(io::Error::other(format!("not the answer: {answer}")))
    }
}
