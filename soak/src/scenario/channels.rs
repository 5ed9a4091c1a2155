//! Three processes with a channel layer over one Redis, which fails at random.

mod faults;
mod group;
mod publisher;
mod reader;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Extent, FIXED};
use crate::app::COLD_START;
use crate::client::http1::Connection;
use crate::client::websocket::open_at;
use crate::redis::Redis;
use crate::report::Outcome;
use crate::rooms::{self, DROPS, PUBLISH, URL};
use crate::server::Server;
use faults::{Faults, fail};
use group::Group;
use publisher::{Publications, Publisher, publish_ends};
use reader::{Received, subscribe};

const PROCESSES: usize = 3;
/// The publishers of a process. Each publishes one message at a time.
const PUBLISHERS: usize = 10;
/// The longest time of a publication: the time-outs for a connection and for an answer, and as much again for a busy
/// machine.
const LONGEST: Duration = Duration::from_secs(4);
/// The time in which each socket reads the end of its group.
const READ: Duration = Duration::from_secs(60);
/// The memory of a WebSocket in a group, in octets: what a connection may buffer without being counted, its state, and
/// the messages that its subscription has taken.
const SOCKET: u64 = (16 + 8 + 8) * 1024;
/// The memory of an event in a history, in octets, beside its content.
const EVENT: u64 = 256;

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
            .map(|index| Group::new(format!("group-{index}")))
            .collect();
        let mut readers = subscribe(self.sockets, addresses, &groups).await?;
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
}
