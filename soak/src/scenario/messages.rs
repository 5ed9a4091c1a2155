//! Floods of frames over WebSockets.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Before, Extent, FIXED, flags};
use crate::client::http1::Connection;
use crate::client::websocket::{
    BINARY, COMPRESSED, CONTINUATION, FIN, PING, TEXT, close_code, frame, open,
};
use crate::probe::{Probe, Target, with_peak};
use crate::report::Outcome;
use crate::server::Server;

/// What the clients of a flood send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The fragments of a message that does not end.
    Fragments,
    /// Pings, whose pongs are not read.
    Pings,
    /// Messages that are small only while they are compressed.
    CompressedBomb,
}

/// The clients of a flood.
const CLIENTS: u64 = 16;
/// The size of a message that the server accepts, in octets.
const MESSAGE: u64 = 1 << 20;
/// The default of `--ws-max-frames`.
const FRAGMENTS: u32 = 16_384;
/// The content of a fragment.
const FRAGMENT: &[u8] = &[b'x'; 16];
/// The inflated size of a compressed message, in octets.
const INFLATED: usize = 256 << 20;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Fragments => "fragments",
            Self::Pings => "websocket-pings",
            Self::CompressedBomb => "compressed-bomb",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Fragments => {
                "A message of a WebSocket comes in fragments of 16 octets, and in more than the server accepts."
            }
            Self::Pings => "Pings of 125 octets come without end, and no pong is read.",
            Self::CompressedBomb => "A message of 256 KB inflates to 256 MB.",
        }
    }

    /// Returns the code with which the server closes a WebSocket; `None` if it closes none.
    fn close_code(self) -> Option<u16> {
        match self {
            Self::Fragments => Some(1008),
            Self::CompressedBomb => Some(1009),
            Self::Pings => None,
        }
    }

    /// Returns the next octets of a client. `number` counts from 0.
    fn octets(self, number: u32, bomb: &[u8]) -> Vec<u8> {
        match self {
            Self::Fragments if number == 0 => frame(TEXT, FRAGMENT),
            Self::Fragments => frame(CONTINUATION, FRAGMENT).repeat(512),
            Self::Pings => frame(FIN | PING, &[b'x'; 125]).repeat(64),
            Self::CompressedBomb => bomb.to_vec(),
        }
    }
}

/// Runs the flood.
pub(crate) async fn run(kind: Kind, extent: Extent) -> io::Result<Outcome> {
    let summary = format!("{} The server accepts messages of 1 MB.", kind.summary());
    let mut outcome = Outcome::new(kind.name(), summary);
    let all = flags("--ws-max-size 1048576 --timeout-write 8");
    let server = Server::start(&all, Duration::ZERO).await?;
    let target = Target::Cleartext(server.address);
    let before = Before::of(&server, &target).await?;
    let probe = Probe::start(target);
    let counts = Counts::default();
    let bomb: Arc<[u8]> = match kind {
        Kind::CompressedBomb => bomb()?.into(),
        _ => Arc::new([]),
    };
    let end = Instant::now() + extent.flood;
    let flood = async {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let attack = attack(server.address, kind, end, bomb.clone(), counts.clone());
            clients.spawn(attack);
        }
        while let Some(client) = clients.join_next().await {
            client.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    };
    let (result, peak) = with_peak(&server, flood).await?;
    result?;
    let times = probe.finish().await?;
    outcome.note("octets sent", &counts.sent.load(Ordering::Relaxed));
    let closed = counts.closed.load(Ordering::Relaxed);
    if let Some(code) = kind.close_code() {
        outcome.at_least(&format!("WebSockets closed with {code}"), closed, 1);
    }
    // A message, whose memory is doubled as it grows, and its copy in the doubled memory.
    let cost = CLIENTS * 3 * MESSAGE + FIXED;
    before
        .conclude(server, (peak, cost), &times, &mut outcome)
        .await?;
    Ok(outcome)
}

#[derive(Clone, Debug, Default)]
struct Counts {
    sent: Arc<AtomicU64>,
    /// The WebSockets that were closed because of a message.
    closed: Arc<AtomicU64>,
}

/// Sends octets until the end. A WebSocket that the server closes is opened again.
async fn attack(
    address: SocketAddr,
    kind: Kind,
    end: Instant,
    bomb: Arc<[u8]>,
    counts: Counts,
) -> io::Result<()> {
    while Instant::now() < end {
        let mut connection = Connection::open(address).await?;
        open(&mut connection, kind == Kind::CompressedBomb).await?;
        for number in 0.. {
            let octets = kind.octets(number, &bomb);
            match timeout_at(end, connection.send(&octets)).await {
                Err(_) => return Ok(()),
                Ok(Err(_)) => break,
                Ok(Ok(())) => counts
                    .sent
                    .fetch_add(octets.len() as u64, Ordering::Relaxed),
            };
            // The server closes the WebSocket in answer to a message that is too big or has too many frames.
            let is_too_much = match kind {
                Kind::Fragments => number * 512 > FRAGMENTS,
                Kind::CompressedBomb => true,
                Kind::Pings => false,
            };
            if is_too_much {
                break;
            }
        }
        if let Some(code) = kind.close_code()
            && let Ok(Ok(closed)) = timeout_at(end, close_code(&mut connection)).await
            && closed == code
        {
            counts.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Returns the frame of a message that inflates to [`INFLATED`] octets.
fn bomb() -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..INFLATED >> 20 {
        encoder.write_all(&zeros)?;
    }
    let mut payload = encoder.finish()?;
    // The end of the message is an empty block without its last four octets (RFC 7692, 7.2.1).
    payload.push(0);
    Ok(frame(FIN | COMPRESSED | BINARY, &payload))
}
