//! Loads the reference server over loopback with floods, faults and restarts, and checks that it holds: `cargo
//! xtask soak`. The server is this program again, as a process of its own.

mod app;
mod client;
mod probe;
mod redis;
mod report;
mod rooms;
mod scenario;
mod server;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use callgate_server::cli::{self, Flags};
use clap::Parser;
use peak_alloc::PeakAlloc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::timeout;

use crate::app::SoakApp;
use crate::report::{DOCUMENTS, Outcome};
use crate::scenario::{Extent, SCENARIOS};

/// Counts the memory in use.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Loads the reference server with floods, faults and restarts
#[derive(Debug, Parser)]
struct Soak {
    /// Run only this scenario; may be repeated. The result is printed, and is written only if all scenarios of its
    /// file have run
    #[arg(long, value_parser = scenario::names())]
    only: Vec<String>,
    /// How long the mixed load takes, in seconds; 3600 without it. Each flood takes a hundredth of it, from 3 s to
    /// 20 s, and the load of the channels a tenth, from 10 s
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=14_400))]
    seconds: Option<u64>,
    /// Restart 5 times in place of 50, with 500 connections, floods of 2 s and loads of 10 s. The result is printed, and
    /// not written
    #[arg(long)]
    quick: bool,
    /// The seed of the faults of Redis; a random one without it
    #[arg(long)]
    seed: Option<u64>,
}

/// The server of a scenario.
#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

/// The most connections of a flood.
const CONNECTIONS: u64 = 10_000;
/// The most WebSockets in groups.
const SOCKETS: u64 = 3000;
/// The files that a process has beside its connections.
const OTHER_FILES: u64 = 300;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == "serve") {
        args.remove(1);
        return match cli::parse_from(args) {
            Ok(Serve { flags }) => cli::run(SoakApp::default(), flags),
            Err(status) => status,
        };
    }
    match run(&Soak::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: not every bound holds");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios. Returns whether every bound holds.
fn run(soak: &Soak) -> io::Result<bool> {
    let files = raise_file_limit()?;
    let connections = CONNECTIONS.min(files.saturating_sub(OTHER_FILES));
    let seconds = soak.seconds.unwrap_or(3600);
    let seed = soak.seed.unwrap_or_else(rand::random);
    let extent = match soak.quick {
        true => Extent {
            connections: connections.min(500) as usize,
            restarts: 5,
            flood: Duration::from_secs(2),
            mixed: Duration::from_secs(soak.seconds.unwrap_or(10)),
            sockets: connections.min(300) as usize,
            channels: Duration::from_secs(10),
            seed,
        },
        false => Extent {
            connections: connections as usize,
            restarts: 50,
            flood: Duration::from_secs((seconds / 100).clamp(3, 20)),
            mixed: Duration::from_secs(seconds),
            sockets: connections.min(SOCKETS) as usize,
            channels: Duration::from_secs((seconds / 10).max(10)),
            seed,
        },
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for scenario in &SCENARIOS {
        if !soak.only.is_empty() && !soak.only.iter().any(|only| only == scenario.name) {
            continue;
        }
        println!("{}", scenario.name);
        let begun = Instant::now();
        let run =
            runtime.block_on(async { timeout(extent.longest(), (scenario.run)(extent)).await });
        let mut outcome = run
            .unwrap_or_else(|late| Err(late.into()))
            .map_err(|error| io::Error::other(format!("{}: {error}", scenario.name)))?;
        outcome.took = begun.elapsed();
        for measure in &outcome.measures {
            let mark = if measure.holds { "" } else { "  NO" };
            println!(
                "  {}: {} {}{mark}",
                measure.name, measure.value, measure.bound
            );
        }
        outcomes.push(outcome);
    }
    let holds = outcomes.iter().all(Outcome::holds);
    for document in &DOCUMENTS {
        let is_of = |name: &str| document.has(name);
        let all = SCENARIOS.iter().filter(|scenario| is_of(scenario.name));
        let outcomes: Vec<_> = outcomes.iter().filter(|it| is_of(it.name)).collect();
        if outcomes.is_empty() {
            continue;
        }
        let report = document.write(&outcomes, extent.connections);
        if outcomes.len() == all.count() && !soak.quick {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(document.path);
            std::fs::write(&path, report)?;
            println!("The results are in {}.", path.display());
        } else {
            println!("\n{report}");
        }
    }
    Ok(holds)
}

/// Raises the number of files that this process and the server may open. Returns the number.
fn raise_file_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
