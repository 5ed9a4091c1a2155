//! Mixed load for a long time, of clients that behave and of clients that do not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Before, Extent, OTHER_FILES, P99, RELEASED, finish, flags};
use crate::client::http1::Connection;
use crate::client::http2::{END_HEADERS, END_STREAM, GET, HEADERS, RST_STREAM, frame as h2_frame};
use crate::client::websocket::{self, FIN, HANDSHAKE, TEXT, frame};
use crate::probe::{Probe, Target};
use crate::report::Outcome;
use crate::server::Server;

/// The clients that behave, and those that do not.
const CLIENTS: usize = 8;
/// The memory that may be gained after the first quarter of the time, in octets.
const GROWTH: u64 = 16 << 20;
/// The time for which a client that does not behave keeps its connection.
const HELD: Duration = Duration::from_millis(40);
/// The time that a client that behaves waits between two connections.
const PAUSE: Duration = Duration::from_millis(40);

/// What a client sends that does not behave, before it closes or resets the connection.
fn misbehaviours() -> Vec<Vec<u8>> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let request = h2_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET);
    let reset = h2_frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let handshake = format!("{HANDSHAKE}\r\n").into_bytes();
    vec![
        b"GET / HT".to_vec(),
        b"GET / HTTP/1.1\nhost: localhost\n\n".to_vec(),
        b"\0\x01\x02 garbage \r\n\r\n".to_vec(),
        b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n0123".to_vec(),
        b"POST /upload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n4\r\nab"
            .to_vec(),
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100),
        [preface.clone(), request.clone(), reset].concat(),
        [preface.clone(), request.repeat(3)].concat(),
        [preface, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()].concat(),
        handshake.clone(),
        [handshake.clone(), frame(FIN | TEXT, b"hello")].concat(),
        [handshake.clone(), frame(FIN | TEXT, b"\xff")].concat(),
        [handshake, b"\xff\xff\xff".to_vec()].concat(),
    ]
}

/// Runs the load.
pub(crate) async fn run(extent: Extent) -> io::Result<Outcome> {
    let minutes = extent.mixed.as_secs_f64() / 60.0;
    let mut outcome = Outcome::new(
        "mixed",
        format!(
            "{CLIENTS} clients behave and {CLIENTS} do not, for {minutes:.1} minutes: garbage, requests that are cut, responses \
             that are not read, pipelines, streams that are reset, WebSockets that break the protocol."
        ),
    );
    let server = Server::start(&flags("--timeout-disconnect 2"), Duration::ZERO).await?;
    let target = Target::Cleartext(server.address);
    let before = Before::of(&server, &target).await?;
    let probe = Probe::start(target.clone());
    let (complete, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let cut = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + extent.mixed;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (complete, failed, cut) = (complete.clone(), failed.clone(), cut.clone());
        clients.spawn(behave(server.address, end, complete, failed));
        clients.spawn(misbehave(server.address, end, number, cut));
    }
    let quarter = extent.mixed / 4;
    let early = peak(&server, end - 3 * quarter).await?;
    let late = peak(&server, end).await?;
    while clients.join_next().await.is_some() {}
    let times = probe.finish().await?;
    outcome.at_least(
        "exchanges that were complete",
        complete.load(Ordering::Relaxed),
        1,
    );
    outcome.at_most("exchanges that failed", failed.load(Ordering::Relaxed), 0);
    outcome.note(
        "connections that did not behave",
        &cut.load(Ordering::Relaxed),
    );
    outcome.at_most("requests of the probe that failed", times.failed, 0);
    outcome.time(
        "the 99th percentile of the probe",
        times.percentile(99),
        P99,
    );
    let shown = early >> 20;
    outcome.memory(
        &format!("growth after the first quarter, when it was {shown} MB at its peak"),
        late.saturating_sub(early),
        GROWTH,
    );
    let released = server.released(before.files + OTHER_FILES).await?;
    outcome.time("until all connections are released", released, RELEASED);
    // A call that was cut has a grace period of 2 s.
    let calls = target.number("/calls", 0).await?;
    outcome.at_most("calls that go on", calls, 0);
    add_up(&server, &mut outcome).await?;
    finish(server, &mut outcome).await?;
    Ok(outcome)
}

/// Checks the counters of a server that serves nothing.
async fn add_up(server: &Server, outcome: &mut Outcome) -> io::Result<()> {
    // The admin listener lists no connection any more, so all exchanges have been counted.
    server.listed().await?;
    let metrics = Metrics(server.metrics().await?);
    let ended = metrics.sum("callgate_http_exchanges_ended_total{");
    let by_method = metrics.sum("callgate_http_requests_total{");
    let websockets =
        metrics.sum("callgate_http_requests_total{method=\"WEBSOCKET\",status=\"1xx\"");
    let timed = metrics.sum("callgate_http_exchange_duration_seconds_count");
    outcome.at_least("exchanges that the server has counted", ended, 1);
    for (name, one, other) in [
        ("exchanges by outcome and those by method", ended, by_method),
        (
            "exchanges and those with a duration",
            ended,
            timed + websockets,
        ),
    ] {
        outcome.at_most(&format!("the difference of {name}"), one.abs_diff(other), 0);
    }
    for (name, metric) in [
        ("exchanges in flight", "callgate_http_exchanges_in_flight "),
        ("WebSockets that are open", "callgate_websockets_open "),
        ("connections that are open", "callgate_connections{"),
        ("octets that are buffered", "callgate_buffered_bytes "),
    ] {
        outcome.at_most(name, metrics.sum(metric), 0);
    }
    Ok(())
}

/// The text of the metrics.
struct Metrics(String);

impl Metrics {
    /// Returns the sum of the values whose line begins with this.
    fn sum(&self, beginning: &str) -> u64 {
        let lines = self.0.lines().filter(|line| line.starts_with(beginning));
        lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }
}

/// Returns the largest memory of the server until `end`.
async fn peak(server: &Server, end: Instant) -> io::Result<u64> {
    let mut peak = 0;
    while Instant::now() < end {
        peak = peak.max(server.memory()?);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(peak)
}

/// Makes exchanges of each kind in turn.
async fn behave(
    address: SocketAddr,
    end: Instant,
    complete: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
) {
    while Instant::now() < end {
        let exchanges = timeout(Duration::from_secs(20), exchanges(address)).await;
        match exchanges.unwrap_or_else(|late| Err(io::Error::other(late))) {
            Ok(count) => complete.fetch_add(count, Ordering::Relaxed),
            Err(error) => {
                println!("  an exchange failed: {error}");
                failed.fetch_add(1, Ordering::Relaxed)
            }
        };
        sleep(PAUSE).await;
    }
}

/// Makes a request of each kind and opens a WebSocket. Returns the number of exchanges.
async fn exchanges(address: SocketAddr) -> io::Result<u64> {
    let mut connection = Connection::open(address).await?;
    let content = vec![b'x'; 20_000];
    let upload = [
        b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n".to_vec(),
        content,
    ]
    .concat();
    for (request, expected) in [
        (
            &b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
            &b"hello"[..],
        ),
        (&upload, b"20000"),
        (b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n", b"x"),
    ] {
        connection.send(request).await?;
        let response = connection.response().await?;
        if response.status != 200 || !response.content.starts_with(expected) {
            return Err(io::Error::other("a response is wrong"));
        }
    }
    websocket::open(&mut connection, false).await?;
    for _ in 0..10 {
        connection.send(&frame(FIN | TEXT, b"hello")).await?;
        let (_, payload) = websocket::read(&mut connection).await?;
        if payload != b"hello" {
            return Err(io::Error::other("a message is wrong"));
        }
    }
    connection
        .send(&frame(FIN | websocket::CLOSE, &1000_u16.to_be_bytes()))
        .await?;
    match websocket::close_code(&mut connection).await? {
        1000 => Ok(4),
        code => Err(io::Error::other(format!("closed with {code}"))),
    }
}

/// Opens connections that do not behave. Every other one is reset.
async fn misbehave(address: SocketAddr, end: Instant, first: usize, cut: Arc<AtomicU64>) {
    let misbehaviours = misbehaviours();
    let mut number = first;
    while Instant::now() < end {
        number += 1;
        let octets = &misbehaviours[number % misbehaviours.len()];
        let Ok(mut stream) = TcpStream::connect(address).await else {
            continue;
        };
        // The server may end the connection first.
        let _ = timeout(HELD, stream.write_all(octets)).await;
        sleep(HELD).await;
        if number.is_multiple_of(2) {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        cut.fetch_add(1, Ordering::Relaxed);
    }
}
