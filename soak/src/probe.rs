//! What a scenario watches meanwhile: the time of well-behaved requests, and the memory of the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
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
}

/// Makes one request after another until it is finished.
#[derive(Debug)]
pub(crate) struct Probe {
    is_finished: Arc<AtomicBool>,
    task: JoinHandle<Times>,
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
        let task = tokio::spawn(async move {
            let mut times = Times::default();
            let mut connection = None;
            while !finished.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let request = timeout(TOO_LONG, request(&mut connection, &target)).await;
                match request {
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
        });
        Self { is_finished, task }
    }

    pub(crate) async fn finish(self) -> Times {
        self.is_finished.store(true, Ordering::Relaxed);
        self.task.await.expect("the probe does not panic")
    }
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
