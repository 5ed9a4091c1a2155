//! Floods of frames over HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Before, Extent, FIXED, flags};
use crate::app::LARGE;
use crate::client::http2::{
    CONTINUATION, END_HEADERS, END_STREAM, GET, GET_LARGE, HEADERS, PING, RST_STREAM, SETTINGS,
    drain, frame, open,
};
use crate::probe::{Probe, Target, with_peak};
use crate::report::Outcome;
use crate::server::Server;

/// What the connections of a flood send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Requests that are reset at once.
    RapidReset,
    /// A header section without end.
    Continuation,
    /// PING frames, whose acknowledgements are not read.
    Ping,
    /// SETTINGS frames, whose acknowledgements are not read.
    Settings,
    /// Requests for large responses, with a window of 0.
    ZeroWindows,
    /// A header section that refers to a large field thousands of times.
    HeaderBomb,
}

/// The connections of a flood.
const CONNECTIONS: u64 = 8;
/// The default of `--http2-response-backlog`.
const BACKLOG: u64 = 8 << 20;
/// The state of a stream, in octets.
const STREAM: u64 = 16 * 1024;
/// The responses that a connection with a window of 0 requests.
const STREAMS: u32 = 100;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid-reset",
            Self::Continuation => "continuation",
            Self::Ping => "http2-pings",
            Self::Settings => "settings",
            Self::ZeroWindows => "zero-windows",
            Self::HeaderBomb => "header-bomb",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::RapidReset => "Requests are reset as soon as they are sent (CVE-2023-44487).",
            Self::Continuation => "A header section goes on in CONTINUATION frames without end.",
            Self::Ping => "PING frames come without end, and no acknowledgement is read.",
            Self::Settings => "SETTINGS frames come without end, and no acknowledgement is read.",
            Self::ZeroWindows => {
                "Each connection requests 1 MB a hundred times, with a window of 0."
            }
            Self::HeaderBomb => {
                "A field of 4,000 octets is put into the dynamic table, and then referred to 16,000 times in a header section."
            }
        }
    }

    /// Returns the bound of the memory of the flood, in octets: the limits of a connection times the connections.
    fn cost(self) -> u64 {
        let of_connection = match self {
            // The responses before which further requests wait (`--http2-response-backlog`), the event with
            // which the bound is passed, and the streams that wait.
            Self::ZeroWindows => BACKLOG + LARGE as u64 + u64::from(STREAMS) * STREAM,
            // The content in both directions (`--http2-connection-window`, `--http2-max-unwritten`).
            _ => 2 << 20,
        };
        CONNECTIONS * of_connection + FIXED
    }

    /// Returns the next octets of a connection. `number` counts from 0.
    fn octets(self, number: u32) -> Vec<u8> {
        let stream = |number: u32| 2 * number + 1;
        match self {
            Self::RapidReset => (64 * number..64 * number + 64)
                .flat_map(|number| {
                    let request = frame(HEADERS, END_HEADERS | END_STREAM, stream(number), GET);
                    [request, frame(RST_STREAM, 0, stream(number), &[0, 0, 0, 8])].concat()
                })
                .collect(),
            Self::Continuation if number == 0 => frame(HEADERS, END_STREAM, 1, GET),
            // Literal fields of 4 octets.
            Self::Continuation => frame(CONTINUATION, 0, 1, &b"\0\x01a\x01b".repeat(200)),
            Self::Ping => frame(PING, 0, 0, &[0; 8]).repeat(256),
            Self::Settings => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(256),
            Self::ZeroWindows if number < STREAMS => {
                frame(HEADERS, END_HEADERS | END_STREAM, stream(number), GET_LARGE)
            }
            Self::ZeroWindows => Vec::new(),
            Self::HeaderBomb => {
                // A literal field with incremental indexing, whose value has 4,000 octets (RFC 7541, 6.2.1).
                let mut section = GET.to_vec();
                if number == 0 {
                    section.extend_from_slice(b"\x40\x01a\x7f\xa1\x1e");
                    section.extend_from_slice(&[b'x'; 4000]);
                } else {
                    section.extend_from_slice(&[0xbe; 16_000]);
                }
                frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &section)
            }
        }
    }

    /// Returns the payload of the client's SETTINGS.
    fn settings(self) -> &'static [u8] {
        match self {
            Self::ZeroWindows => &[0, 4, 0, 0, 0, 0],
            _ => &[],
        }
    }

    /// Returns whether the client reads nothing.
    fn is_deaf(self) -> bool {
        matches!(self, Self::Ping | Self::Settings)
    }
}

/// Runs the flood.
pub(crate) async fn run(kind: Kind, extent: Extent) -> io::Result<Outcome> {
    let mut outcome = Outcome::new(kind.name(), kind.summary());
    let server = Server::start(&flags("--timeout-write 8"), Duration::ZERO).await?;
    let target = Target::Cleartext(server.address);
    let before = Before::of(&server, &target).await?;
    let probe = Probe::start(target);
    let sent = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + extent.flood;
    let flood = async {
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (sent, ended) = (sent.clone(), ended.clone());
            clients.spawn(attack(server.address, kind, end, sent, ended));
        }
        while let Some(client) = clients.join_next().await {
            client.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    };
    let (result, peak) = with_peak(&server, flood).await?;
    result?;
    let times = probe.finish().await?;
    outcome.note("octets sent", &sent.load(Ordering::Relaxed));
    outcome.note(
        "connections that the server ended",
        &ended.load(Ordering::Relaxed),
    );
    before
        .conclude(server, (peak, kind.cost()), &times, &mut outcome)
        .await?;
    Ok(outcome)
}

/// Sends octets until the end. A connection that the server ends is opened again.
async fn attack(
    address: SocketAddr,
    kind: Kind,
    end: Instant,
    sent: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
) -> io::Result<()> {
    while Instant::now() < end {
        let (reads, mut writes) = open(address, kind.settings()).await?;
        let (_unread, reading) = match kind.is_deaf() {
            true => (Some(reads), None),
            false => (None, Some(tokio::spawn(drain(reads)))),
        };
        for number in 0.. {
            let octets = kind.octets(number);
            if octets.is_empty() {
                tokio::time::sleep_until(end).await;
                break;
            }
            match timeout_at(end, writes.write_all(&octets)).await {
                // The server holds the client back, or the time is over.
                Err(_) => break,
                Ok(Err(_)) => {
                    ended.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(Ok(())) => sent.fetch_add(octets.len() as u64, Ordering::Relaxed),
            };
        }
        if let Some(reading) = reading {
            reading.abort();
        }
    }
    Ok(())
}
