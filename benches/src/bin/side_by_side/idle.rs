//! The memory that an idle connection takes.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::client::ExchangeClient;
use crate::client::websocket::{self, Messages};
use crate::server::{Place, Running, Server};
use crate::work::HELLO;

/// A kind of idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1, kept alive after one request.
    KeepAlive,
    /// A WebSocket, after its handshake.
    WebSocket,
    /// A WebSocket with permessage-deflate, after one message.
    CompressedWebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::KeepAlive, Self::WebSocket, Self::CompressedWebSocket];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "idle keep-alive",
            Self::WebSocket => "idle WebSocket",
            Self::CompressedWebSocket => "idle WebSocket, compressed",
        }
    }

    /// Returns the servers that Callgate is compared with.
    pub(crate) fn peers(self) -> &'static [Server] {
        match self {
            Self::KeepAlive => &[Server::Hyper, Server::Axum, Server::Actix, Server::Nginx],
            Self::WebSocket => &[Server::Tungstenite, Server::TungsteniteDefault],
            Self::CompressedWebSocket => &[],
        }
    }

    /// Returns the most that a connection to Callgate is to take, in KB.
    pub(crate) fn goal(self) -> Option<f64> {
        match self {
            Self::KeepAlive => Some(10.0),
            Self::WebSocket => Some(8.0),
            Self::CompressedWebSocket => None,
        }
    }

    fn open(self, address: SocketAddr) -> io::Result<ExchangeClient> {
        let mut client = ExchangeClient::connect(address)?;
        match self {
            Self::KeepAlive => client.ask(
                b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"HTTP/1.1 200 ",
                HELLO.as_bytes(),
            )?,
            Self::WebSocket | Self::CompressedWebSocket => {
                let is_compressed = self == Self::CompressedWebSocket;
                client.ask(
                    websocket::handshake("/messages", is_compressed).as_bytes(),
                    b"HTTP/1.1 101 ",
                    b"\r\n\r\n",
                )?;
                if is_compressed {
                    let size = 1024;
                    client.ask_for_frame(&websocket::frame(Messages {
                        size,
                        is_compressed,
                    }))?;
                }
            }
        }
        Ok(client)
    }
}

/// The most connections, if the system lets a process have as many.
const CONNECTIONS: usize = 10_000;
/// The files that a process has beside its connections.
const OTHER_FILES: usize = 200;
/// The number of connections that are open before the first measurement, so that the server has
/// made its one-time allocations.
const WARM_UP: usize = 20;

/// Returns the number of connections that are opened where a process can have this many files.
pub(crate) fn connections(files: u64) -> usize {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    files.saturating_sub(OTHER_FILES).clamp(1, CONNECTIONS)
}

/// Returns the memory that each of this many connections takes, in KB.
pub(crate) fn measure(
    kind: Kind,
    server: Server,
    place: &Place,
    connections: usize,
) -> io::Result<f64> {
    let server = Running::start(server, place)?;
    let open =
        |count| -> io::Result<Vec<_>> { (0..count).map(|_| kind.open(server.http1())).collect() };
    let _first = open(WARM_UP)?;
    let before = server.memory()?;
    let clients = open(connections)?;
    // The answers have arrived, but the server may not have freed the memory of the last one yet.
    thread::sleep(Duration::from_millis(100));
    let after = server.memory()?;
    for client in &clients {
        if !client.is_idle()? {
            return Err(io::Error::other(format!("{}: not idle", kind.name())));
        }
    }
    Ok((after as f64 - before as f64) / 1024.0 / connections as f64)
}
