//! A broadcast to the WebSockets of a group: one message at a time, which each WebSocket receives.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::member::{Frame, Member, Received, first_frame, text};
use super::subject::Servers;
use crate::client::{unexpected, websocket};

/// What is put on the servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// The WebSockets that receive.
    pub(crate) sockets: usize,
    /// How many of them publish, all at the same time.
    pub(crate) publishers: usize,
    /// The bytes of a message.
    pub(crate) size: usize,
    /// Whether there is another WebSocket, which does not read.
    pub(crate) has_slow_client: bool,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Deliveries per second.
    pub(crate) rate: f64,
    /// The median of the milliseconds from publication to receipt.
    pub(crate) p50: f64,
    /// The milliseconds in which 99 of 100 deliveries were made.
    pub(crate) p99: f64,
    /// Microseconds of the servers' CPU time per delivery.
    pub(crate) cpu: f64,
    /// Microseconds of the CPU time of Redis per message.
    pub(crate) redis_cpu: f64,
    /// The kilobytes of the servers' memory that each WebSocket takes.
    pub(crate) memory: f64,
    /// The deliveries that are missing, without a word of the application, in the whole run.
    pub(crate) lost: u64,
    /// The deliveries that are missing, as the application has said.
    pub(crate) told: u64,
    /// What the WebSocket that did not read received when it read at last.
    pub(crate) slow: Option<Member>,
}

/// The WebSockets that are open before memory is measured for the first time.
const FIRST: usize = 20;
/// How many WebSockets are opened at a time.
const OPENING: usize = 32;
/// The longest time until all WebSockets are open.
const SETUP: Duration = Duration::from_secs(120);
/// The longest time until all WebSockets have a message. Then what has not arrived is lost.
const DELIVERY: Duration = Duration::from_secs(30);
/// How long the slow client waits for more when it reads at last.
const SILENCE: Duration = Duration::from_secs(1);
/// The read buffer of the slow client's socket, in bytes.
const SLOW_BUFFER: u32 = 4096;

/// Broadcasts for the time of warm-up, which is not measured, and for `time`, both rounded up to whole
/// messages.
pub(crate) fn load(
    load: Load,
    servers: &Servers,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(load, servers, warm_up, time))
}

async fn run(
    load: Load,
    servers: &Servers,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    let group = Arc::new(Group::new(load.sockets));
    let mut members = Members::new();
    let first = load.sockets.min(FIRST);
    let setup = async {
        let mut publishers = Vec::new();
        for index in 0..load.publishers {
            let (reader, publisher) = open(servers, index).await?.into_split();
            members.spawn(receive(reader, None, Arc::clone(&group)));
            publishers.push(publisher);
        }
        open_members(servers, load.publishers..first, &mut members, &group).await?;
        // What the last handshake needed may not be freed yet.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = servers.memory()?;
        open_members(servers, first..load.sockets, &mut members, &group).await?;
        let slow = match load.has_slow_client {
            true => Some(open_slow(servers).await?),
            false => None,
        };
        Ok::<_, io::Error>((publishers, slow, before))
    };
    let (publishers, slow, memory_before) = timeout(SETUP, setup)
        .await
        .map_err(|_| io::Error::other("the WebSockets took too long to open"))??;

    let measured = async {
        group.broadcast(&publishers, load.size, warm_up).await?;
        let before = {
            let mut state = group.state();
            state.latencies = Some(Vec::new());
            state.rounds
        };
        let (begun, cpu) = (Instant::now(), servers.cpu_time()?);
        let redis_cpu = servers.redis_cpu_time()?;
        group.broadcast(&publishers, load.size, time).await?;
        let elapsed = begun.elapsed();
        let cpu = servers.cpu_time()? - cpu;
        let redis_cpu = servers.redis_cpu_time()? - redis_cpu;
        let memory = servers.memory()?.saturating_sub(memory_before);
        let (mut latencies, rounds, lost, told) = {
            let mut state = group.state();
            let lost = state.lost(load.sockets, load.publishers);
            (
                state.latencies.take().unwrap_or_default(),
                state.rounds,
                lost,
                state.told,
            )
        };
        if latencies.is_empty() {
            return Err(io::Error::other("nothing was delivered"));
        }
        latencies.sort_unstable();
        let deliveries = latencies.len() as f64;
        let slow = match slow {
            Some(slow) => Some(read_at_last(slow, rounds).await?),
            None => None,
        };
        Ok(Outcome {
            rate: deliveries / elapsed.as_secs_f64(),
            p50: percentile(&latencies, 0.5),
            p99: percentile(&latencies, 0.99),
            cpu: cpu.as_secs_f64() * 1e6 / deliveries,
            redis_cpu: redis_cpu.as_secs_f64() * 1e6
                / ((rounds - before) * load.publishers as u64) as f64,
            memory: memory as f64 / 1024.0 / (load.sockets - first).max(1) as f64,
            lost,
            told,
            slow,
        })
    };
    tokio::select! {
        outcome = measured => outcome,
        Some(ended) = members.join_next() => match ended.map_err(io::Error::other)? {
            Ok(never) => match never {},
            Err(error) => Err(error),
        },
    }
}

/// The WebSockets that read. One ends with an error only.
type Members = JoinSet<io::Result<Infallible>>;

/// Opens a WebSocket. They are spread over the processes.
async fn open(servers: &Servers, index: usize) -> io::Result<TcpStream> {
    let processes = servers.processes();
    let address = processes[index % processes.len()].http1();
    websocket::open_on(connect(address, None).await?, "/", false)
        .await
        .map(|(stream, _)| stream)
}

async fn open_members(
    servers: &Servers,
    indices: std::ops::Range<usize>,
    members: &mut Members,
    group: &Arc<Group>,
) -> io::Result<()> {
    let opened: Vec<_> = stream::iter(indices)
        .map(|index| open(servers, index))
        .buffer_unordered(OPENING)
        .try_collect()
        .await?;
    for stream in opened {
        let (reader, writer) = stream.into_split();
        members.spawn(receive(reader, Some(writer), Arc::clone(group)));
    }
    Ok(())
}

async fn open_slow(servers: &Servers) -> io::Result<TcpStream> {
    let address = servers.processes()[0].http1();
    let stream = connect(address, Some(SLOW_BUFFER)).await?;
    let (stream, _) = websocket::open_on(stream, "/", false).await?;
    Ok(stream)
}

async fn connect(address: SocketAddr, read_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    if let Some(size) = read_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Receives the messages of a WebSocket. The other half of the socket is kept open.
async fn receive(
    reader: OwnedReadHalf,
    _writer: Option<OwnedWriteHalf>,
    group: Arc<Group>,
) -> io::Result<Infallible> {
    let mut member = Member::default();
    let mut socket = Socket::new(reader);
    loop {
        socket.read().await?;
        socket.take_texts(|text| {
            let told = member.told;
            if let Some(received) = member.receive(text)? {
                group.state().told += member.told - told;
                group.deliver(received);
            }
            Ok(())
        })?;
    }
}

/// Reads what has been waiting for a client that has not read, up to the last message.
async fn read_at_last(stream: TcpStream, sent: u64) -> io::Result<Member> {
    let (reader, _writer) = stream.into_split();
    let mut member = Member::default();
    let mut socket = Socket::new(reader);
    let mut is_complete = false;
    while !is_complete {
        match timeout(SILENCE, socket.read()).await {
            Ok(read) => read?,
            Err(_) => break,
        }
        socket.take_texts(|text| {
            if let Some(received) = member.receive(text)? {
                is_complete = received.number + 1 == sent;
            }
            Ok(())
        })?;
    }
    member.end(sent);
    Ok(member)
}

/// The input of a WebSocket.
#[derive(Debug)]
struct Socket {
    reader: OwnedReadHalf,
    input: Vec<u8>,
}

impl Socket {
    fn new(reader: OwnedReadHalf) -> Self {
        Self {
            reader,
            input: Vec::new(),
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        // More than a message, so that a read of one message need not be repeated.
        self.input.reserve(512);
        match self.reader.read_buf(&mut self.input).await? {
            0 => Err(unexpected("the connection ended", &self.input)),
            _ => Ok(()),
        }
    }

    /// Takes the texts that have arrived, and answers pings.
    fn take_texts(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut taken = 0;
        while let Some((frame, length)) = first_frame(&self.input[taken..]) {
            match frame {
                Frame::Text(text) => take(text)?,
                Frame::Ping(payload) => {
                    let pong = websocket::client_frame(0x8a, payload);
                    write(self.reader.as_ref(), &pong)?;
                }
                Frame::Other(_) => return Err(unexpected("another frame", &self.input[taken..])),
            }
            taken += length;
        }
        self.input.drain(..taken);
        Ok(())
    }
}

/// Writes a short frame, for which a socket that is seldom written to has room.
fn write(stream: &TcpStream, frame: &[u8]) -> io::Result<()> {
    match stream.try_write(frame)? {
        written if written == frame.len() => Ok(()),
        _ => Err(io::Error::other("the socket has no room for a frame")),
    }
}

/// What all WebSockets of a load share.
#[derive(Debug)]
struct Group {
    sockets: usize,
    begun: Instant,
    state: Mutex<State>,
    /// Notified when all have a message.
    complete: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each publisher has sent a message.
    rounds: u64,
    /// The deliveries of the last round that are missing.
    waiting: usize,
    /// The messages that were received, by all WebSockets.
    received: u64,
    /// The messages that are missing, as the application has said.
    told: u64,
    /// The microseconds of each delivery, once these are measured.
    latencies: Option<Vec<u32>>,
}

impl Group {
    fn new(sockets: usize) -> Self {
        Self {
            sockets,
            begun: Instant::now(),
            state: Mutex::default(),
            complete: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets each publisher publish at least one message, and no more after this time. Each publishes when all have the
    /// messages before, or when these have taken too long.
    async fn broadcast(
        &self,
        publishers: &[OwnedWriteHalf],
        size: usize,
        time: Duration,
    ) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let number = self.state().begin(self.sockets * publishers.len());
            for (publisher, socket) in publishers.iter().enumerate() {
                let published = self.begun.elapsed();
                let message = Received {
                    number,
                    published,
                    publisher,
                };
                let frame = websocket::client_frame(websocket::TEXT, &text(message, size));
                write(socket.as_ref(), &frame)?;
            }
            let all_received = async {
                while self.state().waiting > 0 {
                    self.complete.notified().await;
                }
            };
            // What is missing after that is lost, or late, and counted at the end.
            let _ = timeout(DELIVERY, all_received).await;
            if begun.elapsed() >= time {
                return Ok(());
            }
        }
    }

    fn deliver(&self, received: Received) {
        let mut state = self.state();
        if let Some(latencies) = &mut state.latencies {
            let latency = self.begun.elapsed().saturating_sub(received.published);
            latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        }
        if state.deliver(received.number) {
            self.complete.notify_one();
        }
    }
}

impl State {
    /// Returns the number of the next messages, which take this many deliveries.
    fn begin(&mut self, deliveries: usize) -> u64 {
        self.waiting = deliveries;
        self.rounds += 1;
        self.rounds - 1
    }

    /// Counts a delivery. Returns whether it is the last of the round.
    fn deliver(&mut self, number: u64) -> bool {
        self.received += 1;
        if number + 1 < self.rounds {
            return false;
        }
        self.waiting -= 1;
        self.waiting == 0
    }

    /// Returns what this many WebSockets did not receive of this many publishers, without a word of the application.
    fn lost(&self, sockets: usize, publishers: usize) -> u64 {
        self.rounds * (sockets * publishers) as u64 - self.received - self.told
    }
}

/// Returns the latency in milliseconds that this part of the sorted latencies does not exceed.
fn percentile(sorted: &[u32], part: f64) -> f64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    f64::from(sorted[rank.clamp(1, sorted.len()) - 1]) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_delivered_when_all_have_it() {
        let mut state = State::default();
        assert_eq!(state.begin(2), 0);
        assert!(!state.deliver(0));
        assert!(state.deliver(0));
        // One of the deliveries of this message comes after the next message was sent.
        assert_eq!(state.begin(2), 1);
        assert!(!state.deliver(1));
        assert_eq!(state.begin(2), 2);
        assert!(!state.deliver(1));
        assert!(!state.deliver(2));
        assert_eq!(state.lost(2, 1), 1);
        state.told = 1;
        assert_eq!(state.lost(2, 1), 0);
    }

    #[test]
    fn a_percentile_is_one_of_the_latencies() {
        let latencies: Vec<_> = (1..=200).map(|latency| latency * 1000).collect();
        assert_eq!(percentile(&latencies, 0.5), 100.0);
        assert_eq!(percentile(&latencies, 0.99), 198.0);
        assert_eq!(percentile(&[7000], 0.99), 7.0);
    }
}
