//! Upgrades, reloads of certificates and a SIGTERM, under load of every kind of exchange over TLS.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Extent;
use crate::client::http1::Connection;
use crate::client::tls::{Authority, Clients};
use crate::client::websocket::{self, CLOSE, FIN, TEXT, frame};
use crate::report::Outcome;
use crate::server::{LOOK, Server};

/// The time that each start-up takes, which is longer than any interval of the load.
const COLD_START: Duration = Duration::from_millis(400);
/// The time after which an exchange has failed.
const TOO_LONG: Duration = Duration::from_secs(60);
/// The clients of each kind.
const CLIENTS: usize = 3;

/// What has become of the exchanges.
#[derive(Debug, Default)]
struct Counts {
    /// The server does not accept any more, so a connection that cannot be opened is no failure.
    is_stopping: AtomicBool,
    complete: AtomicU64,
    /// Requests over HTTP/2 and handshakes of WebSockets that the server did not begin, such as on a stream that GOAWAY
    /// left out (RFC 9113, 8.7). Clients send these again.
    repeated: AtomicU64,
    failed: AtomicU64,
    /// WebSockets that were closed with 1012, and with another code.
    restarted: AtomicU64,
    closed_otherwise: AtomicU64,
    /// Streams of events that came to their end in order.
    streams: AtomicU64,
}

impl Counts {
    fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn fail(&self, what: &str, error: impl std::fmt::Display) {
        println!("  {what} failed: {error}");
        self.count(&self.failed);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// Runs the scenario.
pub(crate) async fn run(extent: Extent) -> io::Result<Outcome> {
    let mut outcome = Outcome::new(
        "restarts",
        format!(
            "{0} upgrades by SIGUSR2, {0} reloads of certificates by SIGHUP, and a SIGTERM, under load of HTTP/1.1, HTTP/2, \
             WebSockets, server-sent events and uploads, all over TLS. Each start-up takes {COLD_START:?}.",
            extent.restarts
        ),
    );
    let authority = Authority::new()?;
    authority.issue()?;
    let server = Server::start(&authority.flags(), COLD_START).await?;
    let clients = authority.clients(server.address)?;
    let counts = Arc::new(Counts::default());
    let mut load = JoinSet::new();
    for _ in 0..CLIENTS {
        let (clients, counts) = (&clients, &counts);
        load.spawn(requests(clients.clone(), counts.clone(), Request::Get));
        load.spawn(requests(clients.clone(), counts.clone(), Request::Upload));
        load.spawn(requests(clients.clone(), counts.clone(), Request::Events));
        load.spawn(streams(clients.clone(), counts.clone()));
        load.spawn(websockets(clients.clone(), counts.clone()));
    }

    let begun = Instant::now();
    let mut reloads = 0;
    for _ in 0..extent.restarts {
        let old = server.pid()?;
        server.signal(Signal::USR2)?;
        server.succeeded(old).await?;
        // A request of every kind is made of the new process.
        sleep(LOOK).await;
        let certificate = authority.issue()?;
        server.signal(Signal::HUP)?;
        let reloaded = async {
            while clients.certificate().await? != certificate {
                sleep(LOOK).await;
            }
            io::Result::Ok(())
        };
        timeout(TOO_LONG, reloaded)
            .await
            .map_err(io::Error::other)??;
        reloads += 1;
    }
    outcome.at_least(
        "upgrades",
        u64::from(extent.restarts),
        u64::from(extent.restarts),
    );
    outcome.at_least("reloads", reloads, u64::from(extent.restarts));
    outcome.note("time of all", &format!("{:.0?}", begun.elapsed()));
    counts.is_stopping.store(true, Ordering::SeqCst);
    let panics = server.panics();
    let is_in_order = server.terminate().await?;
    let ended = async { while load.join_next().await.is_some() {} };
    timeout(TOO_LONG, ended).await.map_err(io::Error::other)?;

    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    outcome.at_least("exchanges that were complete", value(&counts.complete), 1);
    outcome.at_most("exchanges that failed", value(&counts.failed), 0);
    outcome.note(
        "requests that the server had not begun",
        &value(&counts.repeated),
    );
    let clients = CLIENTS as u64;
    outcome.at_least(
        "WebSockets that were told 1012",
        value(&counts.restarted),
        clients * u64::from(extent.restarts),
    );
    outcome.at_most(
        "WebSockets that were told otherwise",
        value(&counts.closed_otherwise),
        0,
    );
    outcome.at_least(
        "streams of events that ended in order",
        value(&counts.streams),
        clients * u64::from(extent.restarts),
    );
    outcome.at_most("panics", panics, 0);
    outcome.at_most("shutdowns out of order", u64::from(!is_in_order), 0);
    Ok(outcome)
}

/// A request over HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Get,
    /// Content in chunks with pauses between them.
    Upload,
    /// A response without end.
    Events,
}

/// The chunks of an upload, and the length of each.
const CHUNKS: usize = 16;
const CHUNK: usize = 4096;

/// Makes one request after another.
async fn requests(clients: Clients, counts: Arc<Counts>, request: Request) {
    let mut kept = None;
    loop {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match clients.open_http1().await {
                Ok(stream) => Connection::over(stream),
                Err(_) if counts.is_stopping() => return,
                Err(error) => {
                    counts.fail("a connection", error);
                    sleep(LOOK).await;
                    continue;
                }
            },
        };
        let exchange = timeout(TOO_LONG, exchange(&mut connection, request)).await;
        match exchange.unwrap_or_else(|late| Err(io::Error::other(late))) {
            Ok(is_kept_alive) => {
                counts.count(&counts.complete);
                if request == Request::Events {
                    counts.count(&counts.streams);
                }
                kept = is_kept_alive.then_some(connection);
            }
            Err(error) => counts.fail(&format!("{request:?}"), error),
        }
    }
}

/// Makes a request. Returns whether the connection is kept alive.
async fn exchange(connection: &mut Connection, request: Request) -> io::Result<bool> {
    let expected: Option<&[u8]> = match request {
        Request::Get => {
            connection
                .send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await?;
            Some(b"hello")
        }
        Request::Events => {
            connection
                .send(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await?;
            None
        }
        Request::Upload => {
            let head =
                "POST /upload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
            connection.send(head.as_bytes()).await?;
            for _ in 0..CHUNKS {
                let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &[b'x'; CHUNK], b"\r\n"].concat();
                connection.send(&chunk).await?;
                sleep(Duration::from_millis(3)).await;
            }
            connection.send(b"0\r\n\r\n").await?;
            Some(b"65536")
        }
    };
    let response = connection.response().await?;
    let is_right = match expected {
        Some(expected) => response.content == expected,
        None => response.content.ends_with(b"data: last\n\n"),
    };
    if response.status != 200 || !is_right {
        let reason = format!("status {}", response.status);
        return Err(io::Error::other(reason));
    }
    Ok(response.is_kept_alive)
}

/// Makes one request after another over HTTP/2.
async fn streams(clients: Clients, counts: Arc<Counts>) {
    loop {
        let stream = match clients.open_http2().await {
            Ok(stream) => stream,
            Err(_) if counts.is_stopping() => return,
            Err(error) => {
                counts.fail("a connection for HTTP/2", error);
                sleep(LOOK).await;
                continue;
            }
        };
        let Ok((mut requests, connection)) = h2::client::handshake(stream).await else {
            counts.count(&counts.repeated);
            continue;
        };
        let connection = tokio::spawn(connection);
        loop {
            match timeout(TOO_LONG, stream_exchange(&mut requests)).await {
                Ok(Ok(())) => counts.count(&counts.complete),
                Ok(Err(error)) => {
                    // GOAWAY without an error, and a stream that was refused, were not begun.
                    let is_left_out = error.reason().is_some_and(|reason| {
                        matches!(reason, h2::Reason::NO_ERROR | h2::Reason::REFUSED_STREAM)
                    });
                    match is_left_out {
                        true => counts.count(&counts.repeated),
                        false => counts.fail("HTTP/2", error),
                    }
                    break;
                }
                Err(error) => {
                    counts.fail("HTTP/2", error);
                    break;
                }
            }
        }
        connection.abort();
    }
}

async fn stream_exchange(requests: &mut h2::client::SendRequest<Bytes>) -> Result<(), h2::Error> {
    let mut requests = requests.clone().ready().await?;
    let request = http::Request::post("https://localhost/upload");
    let request = request.body(()).expect("a valid request");
    let (response, mut content) = requests.send_request(request, false)?;
    content.send_data(Bytes::from_static(&[b'x'; 1000]), true)?;
    let mut body = response.await?.into_body();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data?);
    }
    match received == b"1000" {
        true => Ok(()),
        false => Err(h2::Reason::INTERNAL_ERROR.into()),
    }
}

/// Opens one WebSocket after another, and sends messages until the server closes it.
async fn websockets(clients: Clients, counts: Arc<Counts>) {
    loop {
        let mut connection = match clients.open_http1().await {
            Ok(stream) => Connection::over(stream),
            Err(_) if counts.is_stopping() => return,
            Err(error) => {
                counts.fail("a connection for a WebSocket", error);
                sleep(LOOK).await;
                continue;
            }
        };
        if let Err(error) = websocket::open(&mut connection, false).await {
            // A handshake that the draining server refuses, or does not read, is made again.
            match connection.received {
                0 => counts.count(&counts.repeated),
                _ => counts.fail("a handshake", error),
            }
            continue;
        }
        match timeout(TOO_LONG, messages(&mut connection, &counts)).await {
            Ok(Ok(1012)) => counts.count(&counts.restarted),
            Ok(Ok(code)) => {
                println!("  a WebSocket was closed with {code}");
                counts.count(&counts.closed_otherwise);
            }
            Ok(Err(error)) => counts.fail("a WebSocket", error),
            Err(error) => counts.fail("a WebSocket", error),
        }
    }
}

/// Sends messages, which come back. Returns the code with which the server closes.
async fn messages(connection: &mut Connection, counts: &Counts) -> io::Result<u16> {
    loop {
        connection.send(&frame(FIN | TEXT, b"hello")).await?;
        match websocket::read(connection).await? {
            (TEXT, payload) if payload == b"hello" => counts.count(&counts.complete),
            (CLOSE, payload) => {
                connection.send(&frame(FIN | CLOSE, &payload)).await?;
                return Ok(match payload[..] {
                    [high, low, ..] => u16::from_be_bytes([high, low]),
                    _ => 1005,
                });
            }
            other => return Err(io::Error::other(format!("a frame is wrong: {other:?}"))),
        }
        sleep(Duration::from_millis(5)).await;
    }
}
