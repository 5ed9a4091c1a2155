//! The scenarios.

mod channels;
mod connections;
mod frames;
mod messages;
mod mixed;
mod restarts;

use std::io;
use std::pin::Pin;
use std::time::Duration;

use crate::probe::{Probe, Target, Times};
use crate::report::Outcome;
use crate::server::Server;

/// How long and how much a scenario loads the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The connections of a flood.
    pub(crate) connections: usize,
    /// How often the server is restarted.
    pub(crate) restarts: u32,
    /// How long a flood of frames takes.
    pub(crate) flood: Duration,
    /// How long the mixed load takes.
    pub(crate) mixed: Duration,
    /// The WebSockets in groups.
    pub(crate) sockets: usize,
    /// How long the groups are loaded.
    pub(crate) channels: Duration,
    /// The seed of the faults of Redis.
    pub(crate) seed: u64,
}

impl Extent {
    /// Returns the time after which a scenario has failed.
    pub(crate) fn longest(&self) -> Duration {
        self.mixed + Duration::from_secs(600)
    }
}

/// The memory of a process that does not depend on the number of connections, in octets: threads, tables and what
/// the allocator keeps in reserve.
const FIXED: u64 = 16 << 20;

type Run = fn(Extent) -> Pin<Box<dyn Future<Output = io::Result<Outcome>>>>;

/// A scenario and its name.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

macro_rules! scenarios {
    ($($name:literal => $run:expr;)*) => {
        /// All scenarios, in the order in which they run.
        pub(crate) const SCENARIOS: [Scenario; [$($name),*].len()] = [
            $(Scenario { name: $name, run: |extent| Box::pin($run(extent)) }),*
        ];
    };
}

scenarios! {
    "restarts" => restarts::run;
    "slow-heads" => async |extent| connections::run(connections::Kind::Head, extent).await;
    "slow-content" => async |extent| connections::run(connections::Kind::Content, extent).await;
    "slow-readers" => async |extent| connections::run(connections::Kind::Reader, extent).await;
    "slow-handshakes" => async |extent| connections::run(connections::Kind::Handshake, extent).await;
    "idle" => async |extent| connections::run(connections::Kind::Idle, extent).await;
    "rapid-reset" => async |extent| frames::run(frames::Kind::RapidReset, extent).await;
    "continuation" => async |extent| frames::run(frames::Kind::Continuation, extent).await;
    "http2-pings" => async |extent| frames::run(frames::Kind::Ping, extent).await;
    "settings" => async |extent| frames::run(frames::Kind::Settings, extent).await;
    "zero-windows" => async |extent| frames::run(frames::Kind::ZeroWindows, extent).await;
    "header-bomb" => async |extent| frames::run(frames::Kind::HeaderBomb, extent).await;
    "fragments" => async |extent| messages::run(messages::Kind::Fragments, extent).await;
    "websocket-pings" => async |extent| messages::run(messages::Kind::Pings, extent).await;
    "compressed-bomb" => async |extent| messages::run(messages::Kind::CompressedBomb, extent).await;
    "mixed" => mixed::run;
    "channels" => channels::run;
}

/// Returns the names of all scenarios.
pub(crate) fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

/// The 99th percentile of well-behaved requests during a flood.
const P99: Duration = Duration::from_secs(1);
/// The longest time until all connections of a flood are released.
const RELEASED: Duration = Duration::from_secs(30);
/// The memory that a server keeps after a flood, in octets beside what it had before.
const KEPT: u64 = 64 << 20;
/// The files that a server may have after a flood beside what it had before: the connection of the probe,
/// and one that is just accepted.
const OTHER_FILES: usize = 4;

/// The state of a server before a flood.
struct Before {
    files: usize,
    memory: u64,
}

impl Before {
    /// Makes some requests, so that the server has made its one-time allocations, and looks at the server.
    async fn of(server: &Server, target: &Target) -> io::Result<Self> {
        let probe = Probe::start(target.clone());
        tokio::time::sleep(Duration::from_millis(500)).await;
        probe.finish().await?;
        Ok(Self {
            files: server.files()?,
            memory: server.memory()?,
        })
    }

    /// Adds what a flood has cost to the outcome. `cost` is the bound of the memory in octets.
    fn add_costs(&self, (peak, cost): (u64, u64), times: &Times, outcome: &mut Outcome) {
        let during = peak.saturating_sub(self.memory);
        outcome.memory("memory of the flood, at its peak", during, cost);
        outcome.note("well-behaved requests meanwhile", &times.count());
        outcome.at_most("those that failed", times.failed, 0);
        outcome.note(
            "their median time",
            &format!("{:.1?}", times.percentile(50)),
        );
        outcome.time("their 99th percentile", times.percentile(99), P99);
    }

    /// Adds the costs of a flood, waits until its connections and its memory is released, and ends the server.
    async fn conclude(
        self,
        server: Server,
        peak_and_cost: (u64, u64),
        times: &Times,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        self.add_costs(peak_and_cost, times, outcome);
        let released = server.released(self.files + OTHER_FILES).await?;
        outcome.time("until all connections are released", released, RELEASED);
        let (kept, settling) = server.settled_memory(self.memory + KEPT).await?;
        outcome.note("until its memory is released", &format!("{settling:.1?}"));
        let kept = kept.saturating_sub(self.memory);
        outcome.memory("memory that is kept", kept, KEPT);
        finish(server, outcome).await
    }
}

/// Ends the server, which has not panicked.
async fn finish(server: Server, outcome: &mut Outcome) -> io::Result<()> {
    let listed = server.listed().await?;
    outcome.at_most("connections that the admin listener lists", listed, 0);
    let panics = server.panics();
    let is_in_order = server.terminate().await?;
    outcome.at_most("panics", panics, 0);
    outcome.at_most("shutdowns out of order", u64::from(!is_in_order), 0);
    Ok(())
}

/// Returns flags of the command line from words.
fn flags(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}
