//! The works of the channel layer.

use super::load::Load;
use super::subject::Subject::{
    self, Broadcaster, ChannelsRedis, ChannelsRedisPubSub, Memory, Redis,
};

/// A broadcast to the WebSockets of a group.
#[derive(Debug)]
pub(crate) struct Work {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    /// The server processes over which the WebSockets are spread.
    pub(crate) processes: usize,
    pub(crate) subjects: &'static [Subject],
}

/// The ratio of the deliveries a second of Callgate on Redis to those of each peer that is to be reached.
pub(crate) const RATE_GOAL: f64 = 5.0;

const ONE_PROCESS: &[Subject] = &[
    Memory,
    Redis,
    ChannelsRedis,
    ChannelsRedisPubSub,
    Broadcaster,
];
/// The memory backend is for one process.
const MANY_PROCESSES: &[Subject] = &[Redis, ChannelsRedis, ChannelsRedisPubSub, Broadcaster];

/// Returns the load of one message at a time.
const fn to(sockets: usize) -> Load {
    Load {
        sockets,
        publishers: 1,
        size: 64,
        has_slow_client: false,
    }
}

pub(crate) static WORKS: [Work; 5] = [
    Work {
        name: "group-1k",
        title: "1,000 WebSockets, one process",
        load: to(1_000),
        processes: 1,
        subjects: ONE_PROCESS,
    },
    Work {
        name: "group-1k-speakers",
        title: "1,000 WebSockets, 16 publish, one process",
        load: Load {
            publishers: 16,
            ..to(1_000)
        },
        processes: 1,
        subjects: ONE_PROCESS,
    },
    Work {
        name: "group-10k",
        title: "10,000 WebSockets, one process",
        load: to(10_000),
        processes: 1,
        subjects: ONE_PROCESS,
    },
    Work {
        name: "group-1k-three",
        title: "1,000 WebSockets, three processes",
        load: to(1_000),
        processes: 3,
        subjects: MANY_PROCESSES,
    },
    Work {
        name: "group-10k-three",
        title: "10,000 WebSockets, three processes",
        load: to(10_000),
        processes: 3,
        subjects: MANY_PROCESSES,
    },
];

/// The name of the work in which a client does not read.
pub(crate) const SLOW_CLIENT: &str = "slow-client";

/// Messages that are large, so that the buffers of the system are soon full.
pub(crate) const fn with_slow_client(has_slow_client: bool) -> Load {
    Load {
        sockets: 50,
        publishers: 1,
        size: 32 * 1024,
        has_slow_client,
    }
}

/// The subjects of the work in which a client does not read.
pub(crate) const OF_SLOW_CLIENT: &[Subject] = ONE_PROCESS;

/// The name of the work without sockets.
pub(crate) const FAN_OUT: &str = "fan-out";

/// Returns the names of all works, for `--only`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let works = WORKS.iter().map(|work| work.name);
    works.chain([SLOW_CLIENT, FAN_OUT])
}
