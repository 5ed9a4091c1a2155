//! The load generator: one thread, whose connections know how long an answer is after the first, and
//! only count bytes from then on.

mod http1;
pub(crate) mod http2;
pub(crate) mod websocket;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::server::Running;
use crate::work::Traffic;

pub(crate) use http1::ExchangeClient;
use websocket::Messages;

/// What was measured of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Requests per second, or what is counted instead.
    pub(crate) rate: f64,
    /// Microseconds of the server's CPU time per request.
    pub(crate) cpu: f64,
}

/// Puts `traffic` on a server for the time of warm-up, which is not measured, and for `time`.
pub(crate) fn load(
    traffic: Traffic,
    server: &Running,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    load_with(
        || begin(traffic, server),
        || server.cpu_time(),
        warm_up,
        time,
    )
}

/// Measures the load of the connections that `begin` starts in a runtime, on a server with this `cpu_time`.
pub(crate) fn load_with(
    begin: impl FnOnce() -> (Connections, Progress),
    cpu_time: impl Fn() -> io::Result<Duration>,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (mut connections, progress) = begin();
            tokio::select! {
                outcome = measure(cpu_time, &progress, warm_up, time) => outcome,
                Some(ended) = connections.join_next() => match ended.map_err(io::Error::other)? {
                    Ok(never) => match never {},
                    Err(error) => Err(error),
                },
                () = tokio::time::sleep(warm_up + time + SETUP) => {
                    Err(io::Error::other("the connections took too long to be ready"))
                }
            }
        })
}

/// The longest time until all connections are ready.
const SETUP: Duration = Duration::from_secs(30);

async fn measure(
    cpu_time: impl Fn() -> io::Result<Duration>,
    progress: &Progress,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    progress.all_ready().await;
    tokio::time::sleep(warm_up).await;
    let (begun, count, cpu) = (Instant::now(), progress.count(), cpu_time()?);
    tokio::time::sleep(time).await;
    let count = (progress.count() - count) as f64;
    let cpu = cpu_time()? - cpu;
    if count == 0.0 {
        return Err(io::Error::other("no answer in the time of the measurement"));
    }
    Ok(Outcome {
        rate: count / begun.elapsed().as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / count,
    })
}

/// The connections of a load. A connection ends with an error only.
pub(crate) type Connections = JoinSet<io::Result<Infallible>>;

/// What the connections of a load share.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    ready: Arc<Barrier>,
    count: Arc<AtomicU64>,
}

impl Progress {
    /// Creates the progress of this many connections.
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            // The last is the measurement.
            ready: Arc::new(Barrier::new(connections + 1)),
            count: Arc::default(),
        }
    }

    /// Waits until all connections are ready.
    pub(crate) async fn all_ready(&self) {
        self.ready.wait().await;
    }

    pub(crate) fn add(&self, answers: usize) {
        self.count.fetch_add(answers as u64, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Starts this many connections in the current runtime, each with what `connection` returns for its number.
pub(crate) fn start<F>(
    connections: usize,
    connection: impl Fn(usize, Progress) -> F,
) -> (Connections, Progress)
where
    F: Future<Output = io::Result<Infallible>> + Send + 'static,
{
    let progress = Progress::new(connections);
    let mut tasks = Connections::new();
    for number in 0..connections {
        tasks.spawn(connection(number, progress.clone()));
    }
    (tasks, progress)
}

fn begin(traffic: Traffic, server: &Running) -> (Connections, Progress) {
    let address = server.http1();
    match traffic {
        Traffic::Requests {
            path,
            content,
            response,
            connections,
            pipelined,
        } => {
            let request = http1::request(path, content);
            start(connections, |_, progress| {
                http1::repeat(address, request.clone(), response, pipelined, progress)
            })
        }
        Traffic::Connections { concurrent } => start(concurrent, |_, progress| {
            http1::reconnect(address, progress)
        }),
        Traffic::Streams {
            connections,
            streams,
        } => start(connections, |_, progress| {
            http2::repeat(server.http2(), streams, progress)
        }),
        Traffic::Messages {
            size,
            connections,
            is_compressed,
        } => {
            let messages = Messages {
                size,
                is_compressed,
            };
            start(connections, |_, progress| {
                websocket::echo(address, messages, progress)
            })
        }
        Traffic::Broadcast { members } => websocket::broadcast(address, members),
    }
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) fn unexpected(what: &str, bytes: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    io::Error::other(format!("{what}: {text:?}"))
}
