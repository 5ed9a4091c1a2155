//! What a scenario watches meanwhile: the time of well-behaved requests, and the memory of the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::http1::Connection;
use crate::client::tls::Clients;
use crate::server::{LOOK, Server};

/// The time between two requests of the probe.
const PAUSE: Duration = Duration::from_millis(5);
/// The time after which a request of the probe has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Where the requests of a probe go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Cleartext(SocketAddr),
    Tls(Clients),
}

impl Target {
    async fn open(&self) -> io::Result<Connection> {
        match self {
            Self::Cleartext(address) => Connection::open(*address).await,
            Self::Tls(clients) => Ok(Connection::over(clients.open_http1().await?)),
        }
    }

    /// Asks a path that responds with a number, until the number is at most `most`, or for 10 s. Returns the number.
    pub(crate) async fn number(&self, path: &str, most: u64) -> io::Result<u64> {
        let begun = Instant::now();
        loop {
            let mut connection = self.open().await?;
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            connection.send(request.as_bytes()).await?;
            let content = connection.response().await?.content;
            let number = String::from_utf8_lossy(&content)
                .parse()
                .map_err(io::Error::other)?;
            if number <= most || begun.elapsed() > Duration::from_secs(10) {
                return Ok(number);
            }
            sleep(LOOK).await;
        }
    }
}

/// Makes one request after another until it is finished, on a thread of its own, so that the clients of a flood do
/// not hold it up.
#[derive(Debug)]
pub(crate) struct Probe {
    is_finished: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Times>>,
}

/// The times of requests.
#[derive(Debug, Default)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
    pub(crate) failed: u64,
}

impl Probe {
    /// Begins to make requests.
    pub(crate) fn start(target: Target) -> Self {
        let is_finished = Arc::new(AtomicBool::new(false));
        let finished = is_finished.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| runtime.block_on(requests(&target, &finished)))
        });
        Self {
            is_finished,
            thread,
        }
    }

    /// Ends after the request in flight.
    pub(crate) async fn finish(self) -> io::Result<Times> {
        self.is_finished.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        let times = joined.map_err(io::Error::other)?;
        times.unwrap_or_else(|_| Err(io::Error::other("the probe has panicked")))
    }
}

async fn requests(target: &Target, is_finished: &AtomicBool) -> Times {
    let mut times = Times::default();
    let mut connection = None;
    while !is_finished.load(Ordering::Relaxed) {
        let begun = Instant::now();
        match timeout(TOO_LONG, request(&mut connection, target)).await {
            Ok(Ok(())) => times.sorted.push(begun.elapsed()),
            _ => {
                connection = None;
                times.failed += 1;
            }
        }
        sleep(PAUSE).await;
    }
    times.sorted.sort_unstable();
    times
}

async fn request(connection: &mut Option<Connection>, target: &Target) -> io::Result<()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => target.open().await?,
    };
    open.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await?;
    let response = open.response().await?;
    if response.content != b"hello" {
        return Err(io::Error::other("the response is wrong"));
    }
    *connection = response.is_kept_alive.then_some(open);
    Ok(())
}

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the time that so many hundredths of the requests did not exceed.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let index = self.sorted.len().saturating_sub(1) * hundredths / 100;
        self.sorted.get(index).copied().unwrap_or(Duration::MAX)
    }
}

/// Runs `load`. Returns its result and the largest memory of the server meanwhile, in octets.
pub(crate) async fn with_peak<T>(
    server: &Server,
    load: impl Future<Output = T>,
) -> io::Result<(T, u64)> {
    let mut peak = server.memory()?;
    let mut load = std::pin::pin!(load);
    loop {
        tokio::select! {
            result = &mut load => return Ok((result, peak.max(server.memory()?))),
            () = sleep(LOOK) => peak = peak.max(server.memory()?),
        }
    }
}
