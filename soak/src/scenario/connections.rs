//! Floods of connections that are slow or silent, as many as the system lets a process open.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Before, Extent, FIXED, OTHER_FILES, RELEASED, finish, flags};
use crate::app::PAGE;
use crate::client::tls::Authority;
use crate::probe::{Probe, Target, with_peak};
use crate::report::Outcome;
use crate::server::Server;

/// What the connections of a flood do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The head of a request does not end.
    Head,
    /// The content of a request does not come.
    Content,
    /// A response of 64 KiB is not read.
    Reader,
    /// The TLS handshake does not end.
    Handshake,
    /// The connection is kept alive after a request.
    Idle,
}

/// The time-outs of the server.
const TIMEOUTS: &str = "--timeout-request-head 8 --timeout-request-content 8 --timeout-write 8 \
    --timeout-tls-handshake 8 --timeout-keep-alive 8";

/// How many connections are opened at a time.
const AT_A_TIME: usize = 64;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Head => "slow-heads",
            Self::Content => "slow-content",
            Self::Reader => "slow-readers",
            Self::Handshake => "slow-handshakes",
            Self::Idle => "idle",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Head => "Connections send a part of a head, and no more.",
            Self::Content => "Connections send ten octets of a content, and no more.",
            Self::Reader => "Connections request 64 KB, and read nothing.",
            Self::Handshake => "Connections send ten octets of a TLS handshake, and no more.",
            Self::Idle => "Connections make a request, read the response, and stay.",
        }
    }

    /// Returns what each connection sends.
    fn octets(self) -> &'static [u8] {
        match self {
            Self::Head => b"GET / HTTP/1.1\r\nhost: localhost\r\nx-a: ",
            Self::Content => {
                b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n0123456789"
            }
            Self::Reader => b"GET /page HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Self::Handshake => b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03",
            Self::Idle => b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        }
    }

    /// Returns the bound of the memory of a connection, in octets: what a connection may buffer without being
    /// counted (`--max-buffered`), its state, and what the application has given it.
    fn cost(self) -> u64 {
        let own = UNCOUNTED + STATE;
        match self {
            Self::Idle | Self::Head | Self::Content | Self::Handshake => own,
            // The application gives the server the whole response in one event.
            Self::Reader => own + PAGE as u64,
        }
    }
}

/// What a connection may buffer without being counted, in octets.
const UNCOUNTED: u64 = 16 * 1024;

/// The tasks, the session of TLS and the timers of a connection, in octets.
const STATE: u64 = 8 * 1024;

/// The memory in use that the second flood may add, in octets: 26 for each of 10,000 connections.
const GAINED: u64 = 256 * 1024;

/// Runs the flood twice.
pub(crate) async fn run(kind: Kind, extent: Extent) -> io::Result<Outcome> {
    let mut outcome = Outcome::new(
        kind.name(),
        format!(
            "{} The server has time-outs of 8 s, and ends the connections by itself. The flood comes twice: what the \
             first has taken serves the second.",
            kind.summary()
        ),
    );
    let authority = Authority::new()?;
    authority.issue()?;
    let mut all = flags(TIMEOUTS);
    if kind == Kind::Handshake {
        all.extend(authority.flags());
    }
    let server = Server::start(&all, Duration::ZERO).await?;
    let target = match kind {
        Kind::Handshake => Target::Tls(authority.clients(server.address)?),
        _ => Target::Cleartext(server.address),
    };
    let before = Before::of(&server, &target).await?;
    let count = extent.connections;
    let cost = kind.cost() * count as u64 + FIXED;
    let mut in_use = None;
    for round in ["first flood", "second flood"] {
        outcome.note(round, &"");
        let probe = Probe::start(target.clone());
        let flood = async {
            let streams = open(server.address, kind, count).await?;
            // The clients keep the connections until the server has ended them.
            let released = server.released(before.files + OTHER_FILES).await?;
            io::Result::Ok((streams.len() as u64, released))
        };
        let (flooded, peak) = with_peak(&server, flood).await?;
        let (opened, released) = flooded?;
        outcome.at_least("connections", opened, count as u64);
        let times = probe.finish().await?;
        before.add_costs((peak, cost), &times, &mut outcome);
        outcome.time("until all connections are released", released, RELEASED);
        let memory = server.memory()?.saturating_sub(before.memory);
        outcome.memory("memory that the allocator keeps", memory, cost);
        // After the first flood, no number is small enough: the memory has the whole time to settle.
        let most = in_use.map_or(0, |first: u64| first + GAINED);
        let now = target.number("/heap", most).await?;
        match in_use {
            None => in_use = Some(now),
            Some(first) => outcome.memory(
                "memory in use that the second flood adds",
                now.saturating_sub(first),
                GAINED,
            ),
        }
    }
    finish(server, &mut outcome).await?;
    Ok(outcome)
}

/// Opens connections, which send their octets.
async fn open(address: SocketAddr, kind: Kind, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    let mut opening = JoinSet::new();
    for index in 0..count {
        opening.spawn(open_one(address, kind));
        if index >= AT_A_TIME
            && let Some(stream) = opening.join_next().await
        {
            streams.push(stream.map_err(io::Error::other)??);
        }
    }
    while let Some(stream) = opening.join_next().await {
        streams.push(stream.map_err(io::Error::other)??);
    }
    Ok(streams)
}

async fn open_one(address: SocketAddr, kind: Kind) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if kind == Kind::Reader {
        socket.set_recv_buffer_size(4096)?;
    }
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
    let mut stream = socket.connect(address).await?;
    stream.write_all(kind.octets()).await?;
    Ok(stream)
}
