//! The channel layers that are compared, each under a server.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::redis;
use crate::server::{Place, Running};

/// A channel layer with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The memory backend, in Callgate.
    Memory,
    /// The Redis backend, in Callgate.
    Redis,
    /// The layer that the documents of Django's Channels name first, in uvicorn.
    ChannelsRedis,
    /// The layer of the same package on pub/sub.
    ChannelsRedisPubSub,
    /// broadcaster on Redis, in uvicorn.
    Broadcaster,
}

impl Subject {
    pub(crate) const ALL: [Self; 5] = [
        Self::Memory,
        Self::Redis,
        Self::ChannelsRedis,
        Self::ChannelsRedisPubSub,
        Self::Broadcaster,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "Callgate, memory",
            Self::Redis => "Callgate, Redis",
            Self::ChannelsRedis => "uvicorn, channels_redis",
            Self::ChannelsRedisPubSub => "uvicorn, channels_redis pub/sub",
            Self::Broadcaster => "uvicorn, broadcaster",
        }
    }

    fn needs_redis(self) -> bool {
        self != Self::Memory
    }

    /// Returns the application of `asgi_groups.py`, if this runs in Python.
    fn asgi_app(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Redis => None,
            Self::ChannelsRedis => Some("channels_redis"),
            Self::ChannelsRedisPubSub => Some("channels_redis_pubsub"),
            Self::Broadcaster => Some("broadcaster"),
        }
    }

    /// Returns whether what this needs is installed.
    pub(crate) fn is_available(self, python: Option<&Path>) -> bool {
        let has_redis = !self.needs_redis() || redis::version().is_some();
        let has_python = self.asgi_app().is_none() || python.is_some_and(has_packages);
        has_redis && has_python
    }

    fn words(self, place: &Place, python: Option<&Path>, url: &str) -> Vec<String> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self.asgi_app() {
            None => {
                let mut all = vec![place.programs.join("bench-server").display().to_string()];
                all.extend(words(
                    "group --threads 1 --no-access-log --port 0 --channels",
                ));
                all.push(url.to_owned());
                all
            }
            Some(app) => {
                let python = python.expect("the peer is available");
                let mut all = vec![python.display().to_string()];
                all.extend(words("-B -m uvicorn --no-access-log --port 0 --app-dir"));
                all.push(PEERS.to_owned());
                all.extend(["--factory".to_owned(), format!("asgi_groups:{app}")]);
                all
            }
        }
    }
}

/// The directory of the applications in Python.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers");

/// The packages of the peers whose versions are part of the results. uvloop, httptools and websockets are those
/// of uvicorn's standard installation.
const PACKAGES: [&str; 9] = [
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "channels",
    "channels_redis",
    "broadcaster",
    "redis",
    "msgpack",
];

/// Returns the versions of Python and of the packages of the peers.
pub(crate) fn versions(python: &Path) -> Option<Vec<(&'static str, String)>> {
    let script = "import platform, sys\nfrom importlib.metadata import version\n\
                  print(platform.python_version(), *map(version, sys.argv[1:]))";
    let output = Command::new(python)
        .args(["-c", script])
        .args(PACKAGES)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let names = ["Python"].into_iter().chain(PACKAGES);
    let versions: Vec<_> = names
        .zip(text.split_whitespace().map(str::to_owned))
        .collect();
    output.status.success().then_some(versions)
}

fn has_packages(python: &Path) -> bool {
    versions(python).is_some()
}

/// The processes of a subject.
#[derive(Debug)]
pub(crate) struct Servers {
    processes: Vec<Running>,
    redis: Option<Running>,
}

impl Servers {
    /// Starts this many processes that share a Redis.
    pub(crate) fn start(
        subject: Subject,
        processes: usize,
        place: &Place,
        python: Option<&Path>,
    ) -> io::Result<Self> {
        let redis = subject.needs_redis().then(|| redis::start(place));
        let redis = redis.transpose()?;
        let url = redis.as_ref().map_or_else(
            || "memory".to_owned(),
            |redis| format!("redis://{}/0", redis.http1()),
        );
        let words = subject.words(place, python, &url);
        let environment = [("BENCH_REDIS", url.as_str())];
        let start = |_| Running::start_program(subject.name(), &words, &environment, place);
        Ok(Self {
            processes: (0..processes).map(start).collect::<io::Result<_>>()?,
            redis,
        })
    }

    pub(crate) fn processes(&self) -> &[Running] {
        &self.processes
    }

    /// Returns the CPU time of all processes but Redis.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        self.processes.iter().map(Running::cpu_time).sum()
    }

    /// Returns the CPU time of Redis.
    pub(crate) fn redis_cpu_time(&self) -> io::Result<Duration> {
        self.redis.iter().map(Running::cpu_time).sum()
    }

    /// Returns the resident memory of all processes but Redis, in bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        self.processes.iter().map(Running::memory).sum()
    }
}
