//! Three processes with a channel layer over one Redis, which fails at random.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callgate_channels::suite::checker::{Observed, Published};
use callgate_channels::{GroupEvent, Message, Missed, Payload, Sequence};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Extent, FIXED};
use crate::app::COLD_START;
use crate::client::http1::Connection;
use crate::client::websocket::{CLOSE, FIN, PING, PONG, TEXT, frame, open_at, read};
use crate::redis::Redis;
use crate::report::Outcome;
use crate::rooms::{self, DROPS, GROUPS, PUBLISH, URL};
use crate::server::Server;

const PROCESSES: usize = 3;
/// The publishers of a process. Each publishes one message at a time.
const PUBLISHERS: usize = 10;
/// The time between two messages of a publisher.
const PAUSE: Duration = Duration::from_millis(80);
/// The longest time of a publication: the time-outs for a connection and for an answer, and as much again for a busy
/// machine.
const LONGEST: Duration = Duration::from_secs(4);
/// The time after which a publication has no answer.
const UNANSWERED: Duration = Duration::from_secs(20);
/// The time in which each socket reads the end of its group.
const READ: Duration = Duration::from_secs(60);
/// The memory of a WebSocket in a group, in octets: what a connection may buffer without being counted, its state, and
/// the messages that its subscription has taken.
const SOCKET: u64 = (16 + 8 + 8) * 1024;
/// The memory of an event in a history, in octets, beside its content.
const EVENT: u64 = 256;
/// How many sockets are opened at a time.
const AT_A_TIME: usize = 64;
/// The last message of each group.
const END: &str = "end";

/// What is loaded, and how.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// The sockets of all processes.
    sockets: usize,
    groups: usize,
    time: Duration,
    /// The seed of the faults; none without faults.
    seed: Option<u64>,
    /// Whether each process drops a message in silence.
    drops: bool,
}

/// What was published to a group.
#[derive(Debug)]
struct Group {
    name: String,
    published: Mutex<Published>,
}

/// How publications have ended.
#[derive(Clone, Copy, Debug, Default)]
struct Publications {
    confirmed: u64,
    unconfirmed: u64,
    unreachable: u64,
    unanswered: u64,
    longest: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    kills: u64,
    pauses: u64,
    cuts: u64,
}

/// What the sockets have received.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    yielded: u64,
    missed: u64,
    gaps: u64,
    violations: u64,
    unfinished: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Findings {
    publications: Publications,
    faults: Faults,
    received: Received,
    process_memory: [u64; PROCESSES],
    redis_memory: u64,
    panics: u64,
}

/// Runs the load, and then a short one in which the application is at fault.
pub(crate) async fn run(extent: Extent) -> io::Result<Outcome> {
    let load = Load {
        sockets: extent.sockets,
        groups: (extent.sockets / 10).max(1),
        time: extent.channels,
        seed: Some(extent.seed),
        drops: false,
    };
    let mut outcome = Outcome::new(
        "channels",
        format!(
            "{PROCESSES} processes have a channel layer on one Redis. {} WebSockets are in {} groups, and {} publishers send \
             to groups at random, for {:?}. Meanwhile the Redis is killed and restarted empty, paused with SIGSTOP for up to 5 s, and its \
             connections are cut, at random. Each WebSocket receives each message of its group once, in order, or a \
             gap that covers what it does not receive; the checker of the layer's test suite proves it by the numbers. In \
             a short second load, without faults of Redis, each process drops one message in silence, and the checker finds \
             each.",
            load.sockets,
            load.groups,
            PROCESSES * PUBLISHERS,
            load.time,
        ),
    );
    println!("  seed: {}", extent.seed);
    let found = load.run().await?;
    let Publications {
        confirmed,
        unconfirmed,
        unreachable,
        unanswered,
        longest,
    } = found.publications;
    outcome.note("seed of the faults", &extent.seed);
    outcome.at_least("kills and restarts without data", found.faults.kills, 1);
    outcome.at_least("pauses", found.faults.pauses, 1);
    outcome.at_least("cuts of connections", found.faults.cuts, 1);
    outcome.at_least("messages that were published", confirmed, 1);
    outcome.note("publications that were not confirmed", &unconfirmed);
    outcome.note("publications that failed", &unreachable);
    outcome.at_most("publications without an answer", unanswered, 0);
    outcome.time("longest publication", longest, LONGEST);
    outcome.at_least("messages that were received", found.received.yielded, 1);
    outcome.at_least("gaps", found.received.gaps, 1);
    outcome.note("published messages in gaps", &found.received.missed);
    outcome.at_most("WebSockets that break a rule", found.received.violations, 0);
    outcome.at_most(
        "WebSockets that do not reach the end",
        found.received.unfinished,
        0,
    );
    let sockets = load.sockets.div_ceil(PROCESSES) as u64;
    let settings = rooms::settings();
    let history = settings.history_octets as u64 + settings.history_messages as u64 * EVENT;
    let history = history * load.groups as u64;
    for (process, memory) in found.process_memory.into_iter().enumerate() {
        let bound = FIXED + sockets * SOCKET + history;
        outcome.memory(&format!("memory of process {}", process + 1), memory, bound);
    }
    outcome.memory("memory of Redis", found.redis_memory, FIXED + history);
    outcome.at_most("panics", found.panics, 0);
    let mutant = Load {
        sockets: 30,
        groups: 3,
        time: Duration::from_secs(3),
        seed: None,
        drops: true,
    };
    println!("  each process drops a message now, which is to be found:");
    let found = mutant.run().await?.received.violations;
    let dropped = PROCESSES as u64;
    outcome.at_least(
        "messages dropped in silence that the checker finds",
        found,
        dropped,
    );
    outcome.at_most(
        "WebSockets beside these that break a rule",
        found - dropped.min(found),
        0,
    );
    Ok(outcome)
}

impl Load {
    async fn run(self) -> io::Result<Findings> {
        let redis = Redis::start().await?;
        let mut servers = Vec::new();
        for _ in 0..PROCESSES {
            let mut variables = vec![(URL, redis.url()), (COLD_START, "0".to_owned())];
            if self.drops {
                variables.push((DROPS, "1".to_owned()));
            }
            servers.push(Server::start_with(&[], &variables).await?);
        }
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let mut found = Findings::default();
        let mut process_memory = [0; PROCESSES];
        let mut redis_memory = 0;
        let mut loading = std::pin::pin!(self.load(&redis, &addresses));
        let loaded = loop {
            tokio::select! {
                loaded = &mut loading => break loaded?,
                () = sleep(Duration::from_millis(200)) => {
                    redis_memory = redis.memory().max(redis_memory);
                    for (peak, server) in process_memory.iter_mut().zip(&servers) {
                        *peak = server.memory()?.max(*peak);
                    }
                }
            }
        };
        (found.publications, found.faults, found.received) = loaded;
        (found.process_memory, found.redis_memory) = (process_memory, redis_memory);
        for server in servers {
            found.panics += server.panics();
            server.terminate().await?;
        }
        Ok(found)
    }

    async fn load(
        self,
        redis: &Redis,
        addresses: &[SocketAddr],
    ) -> io::Result<(Publications, Faults, Received)> {
        let groups: Arc<[Group]> = (0..self.groups)
            .map(|index| Group {
                name: format!("group-{index}"),
                published: Mutex::default(),
            })
            .collect();
        let mut readers = self.subscribe(addresses, &groups).await?;
        let end = Instant::now() + self.time;
        let mut publishers = JoinSet::new();
        for number in 0..PROCESSES * PUBLISHERS {
            let mut connection = Connection::open(addresses[number % PROCESSES]).await?;
            open_at(&mut connection, PUBLISH).await?;
            let publisher = Publisher {
                connection,
                groups: Arc::clone(&groups),
                number,
            };
            publishers.spawn(publisher.run(end));
        }
        let faults = match self.seed {
            Some(seed) => fail(redis, StdRng::seed_from_u64(seed), end).await?,
            None => Faults::default(),
        };
        let mut publications = Publications::default();
        while let Some(publisher) = publishers.join_next().await {
            publications.add(publisher.map_err(io::Error::other)??);
        }
        publish_ends(addresses, &groups).await?;
        let mut received = Received::default();
        let mut check = async || {
            while let Some(reader) = readers.join_next().await {
                let (group, observed): (usize, _) = reader.map_err(io::Error::other)?;
                let group = &groups[group];
                received.add(group, &observed?);
            }
            io::Result::Ok(())
        };
        if timeout(READ, check()).await.is_err() {
            received.unfinished = readers.len() as u64;
        }
        Ok((publications, faults, received))
    }

    /// Opens the sockets. Each task reads its socket up to the end of its group, and returns the group.
    async fn subscribe(
        self,
        addresses: &[SocketAddr],
        groups: &[Group],
    ) -> io::Result<JoinSet<(usize, io::Result<Observed>)>> {
        let mut readers = JoinSet::new();
        let sockets: Vec<_> = (0..self.sockets).collect();
        for some in sockets.chunks(AT_A_TIME) {
            let mut opening = JoinSet::new();
            for socket in some {
                let address = addresses[socket % addresses.len()];
                let group = socket / addresses.len() % groups.len();
                let path = format!("{GROUPS}{}", groups[group].name);
                opening.spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    open_at(&mut connection, &path).await?;
                    let start = next(&mut connection).await?;
                    let start = start
                        .strip_prefix("start ")
                        .and_then(|text| text.parse().ok());
                    let start = start.ok_or_else(|| io::Error::other("no start"))?;
                    io::Result::Ok((group, connection, start))
                });
            }
            while let Some(opened) = opening.join_next().await {
                let (group, connection, start) = opened.map_err(io::Error::other)??;
                readers.spawn(async move { (group, observe(connection, start).await) });
            }
        }
        Ok(readers)
    }
}

/// Lets the Redis fail at random, and serve at the end.
async fn fail(redis: &Redis, mut random: StdRng, end: Instant) -> io::Result<Faults> {
    let mut faults = Faults::default();
    loop {
        sleep(Duration::from_millis(random.random_range(500..3000))).await;
        if Instant::now() >= end {
            return Ok(faults);
        }
        match random.random_range(0..3) {
            0 => {
                redis.kill().await?;
                sleep(Duration::from_millis(random.random_range(0..2000))).await;
                redis.restart().await?;
                faults.kills += 1;
            }
            1 => {
                redis.signal(Signal::STOP)?;
                sleep(Duration::from_millis(random.random_range(100..5000))).await;
                redis.signal(Signal::CONT)?;
                faults.pauses += 1;
            }
            _ => {
                for id in redis.connections().await? {
                    if random.random_range(0..2) == 0 {
                        redis.ask(&["CLIENT", "KILL", "ID", &id]).await?;
                    }
                }
                faults.cuts += 1;
            }
        }
    }
}

/// Publishes different messages to groups at random.
#[derive(Debug)]
struct Publisher {
    connection: Connection,
    groups: Arc<[Group]>,
    number: usize,
}

impl Publisher {
    async fn run(mut self, end: Instant) -> io::Result<Publications> {
        let mut random = StdRng::seed_from_u64(self.number as u64);
        let mut publications = Publications::default();
        for count in 0.. {
            if Instant::now() >= end {
                break;
            }
            let group = random.random_range(0..self.groups.len());
            let content = format!("{}-{count}", self.number);
            let begun = Instant::now();
            let answer = self.publish(group, &content).await;
            publications.longest = publications.longest.max(begun.elapsed());
            let answer = answer?;
            publications.note(&self.groups[group], content.into(), answer);
            if matches!(answer, Answer::Missing) {
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(publications)
    }

    async fn publish(&mut self, group: usize, content: &str) -> io::Result<Answer> {
        let text = format!("{} {content}", self.groups[group].name);
        publish(&mut self.connection, &text).await
    }
}

/// What a publisher is told.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Confirmed(Sequence),
    Unconfirmed,
    Unreachable,
    /// Nothing in time.
    Missing,
}

async fn publish(connection: &mut Connection, text: &str) -> io::Result<Answer> {
    connection.send(&frame(FIN | TEXT, text.as_bytes())).await?;
    let Ok(answer) = timeout(UNANSWERED, next(connection)).await else {
        return Ok(Answer::Missing);
    };
    let answer = answer?;
    match answer.split_once(' ') {
        Some(("confirmed", number)) => {
            let number = number.parse().map_err(io::Error::other)?;
            Ok(Answer::Confirmed(number))
        }
        _ if answer == "unconfirmed" => Ok(Answer::Unconfirmed),
        _ if answer == "unreachable" => Ok(Answer::Unreachable),
        _ => Err(io::Error::other(format!("the answer is {answer}"))),
    }
}

/// Publishes the last message of each group, once each process reaches the Redis.
async fn publish_ends(addresses: &[SocketAddr], groups: &[Group]) -> io::Result<()> {
    let mut connections = Vec::new();
    for address in addresses {
        let mut connection = Connection::open(*address).await?;
        open_at(&mut connection, PUBLISH).await?;
        let begun = Instant::now();
        while !matches!(
            publish(&mut connection, "ready x").await?,
            Answer::Confirmed(_)
        ) {
            if begun.elapsed() > READ {
                return Err(io::Error::other("the Redis is not reached again"));
            }
        }
        connections.push(connection);
    }
    for group in groups {
        let text = format!("{} {END}", group.name);
        let Answer::Confirmed(number) = publish(&mut connections[0], &text).await? else {
            return Err(io::Error::other("the end is not published"));
        };
        group.record().confirm(number, END.into());
    }
    Ok(())
}

/// Reads events up to the end of a group.
async fn observe(mut connection: Connection, start: Sequence) -> io::Result<Observed> {
    let mut events = Vec::new();
    loop {
        let text = next(&mut connection).await?;
        let event = event(&text).ok_or_else(|| io::Error::other(format!("no event: {text}")))?;
        let is_end = matches!(&event, GroupEvent::Message(message) if message.payload.as_text() == Some(END));
        events.push(event);
        if is_end {
            return Ok(Observed { start, events });
        }
    }
}

fn event(text: &str) -> Option<GroupEvent> {
    let (kind, rest) = text.split_once(' ')?;
    let (first, second) = rest.split_once(' ')?;
    let sequence: Sequence = first.parse().ok()?;
    match kind {
        "message" => Some(GroupEvent::Message(Message {
            sequence,
            payload: Payload::from(second),
        })),
        "missed" => Some(GroupEvent::Missed(Missed {
            from: sequence,
            to: second.parse().ok()?,
        })),
        _ => None,
    }
}

/// Reads the next text, and answers pings.
async fn next(connection: &mut Connection) -> io::Result<String> {
    loop {
        match read(connection).await? {
            (TEXT, payload) => return String::from_utf8(payload).map_err(io::Error::other),
            (PING, payload) => connection.send(&frame(FIN | PONG, &payload)).await?,
            (CLOSE, _) => return Err(io::Error::other("the WebSocket is closed")),
            _ => {}
        }
    }
}

impl Group {
    fn record(&self) -> std::sync::MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publications {
    fn note(&mut self, group: &Group, content: Payload, answer: Answer) {
        let mut published = group.record();
        match answer {
            Answer::Confirmed(number) => {
                published.confirm(number, content);
                self.confirmed += 1;
            }
            Answer::Unconfirmed => {
                published.leave_open(content);
                self.unconfirmed += 1;
            }
            Answer::Unreachable => self.unreachable += 1,
            Answer::Missing => {
                published.leave_open(content);
                self.unanswered += 1;
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.confirmed += other.confirmed;
        self.unconfirmed += other.unconfirmed;
        self.unreachable += other.unreachable;
        self.unanswered += other.unanswered;
        self.longest = self.longest.max(other.longest);
    }
}

impl Received {
    fn add(&mut self, group: &Group, observed: &Observed) {
        match group.record().check(observed) {
            Ok(summary) => {
                self.yielded += summary.yielded as u64;
                self.missed += summary.missed as u64;
                self.gaps += summary.gaps as u64;
            }
            Err(violation) => {
                println!("  {}: {violation}", group.name);
                self.violations += 1;
            }
        }
    }
}
