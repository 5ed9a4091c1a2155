//! Measures Callgate beside other servers, over loopback: `cargo xtask bench`.
//!
//! The servers of a work are measured in turns, round after round, each time as a process of its own; a
//! ratio always compares results of the same round. Ratios carry over to other machines better than
//! times do. Nothing is asserted.

mod channels;
mod client;
mod count;
mod idle;
mod machine;
mod nginx;
mod python;
mod results;
mod server;
mod work;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::channels::subject::Subject;
use crate::idle::Kind;
use crate::results::{Results, Spread, WorkResult, chart, report};
use crate::server::{Place, Running, Server};
use crate::work::{WORKS, Work};

/// Measures Callgate beside other servers
#[derive(Debug, Parser)]
struct Flags {
    /// The seconds of each measurement
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// The number of rounds
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Measure only this; may be repeated. A work of Python needs `--wheel`
    #[arg(long, value_parser = names())]
    only: Vec<String>,
    /// Measure for half a second, in two rounds
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    quick: bool,
    /// Count the instructions and the allocations of a plain exchange, and nothing else
    #[arg(long, conflicts_with_all = ["only", "quick", "seconds", "rounds", "channels"])]
    count: bool,
    /// Measure only the works of the channel layer, and replace their section of the results
    #[arg(long, conflicts_with = "only")]
    channels: bool,
    /// The interpreter of an environment with uvicorn, channels_redis and broadcaster
    #[arg(long)]
    python: Option<PathBuf>,
    /// Measure only the wheel beside other servers of Python. The interpreter is that of an environment with all of
    /// them
    #[arg(long, conflicts_with_all = ["channels", "count", "python"])]
    wheel: Option<PathBuf>,
}

/// The name of the measurement of idle connections, for `--only`.
const IDLE: &str = "idle";
/// The most rounds of idle connections, whose memory hardly varies.
const IDLE_ROUNDS: u32 = 3;
/// The core of this process.
const CORE_OF_THE_CLIENT: &str = "1";
/// The time before a measurement.
const WARM_UP: Duration = Duration::from_millis(300);

fn names() -> Vec<&'static str> {
    let works = WORKS.iter().map(|work| work.name);
    let works = works.chain([IDLE]).chain(channels::names());
    let mut names: Vec<_> = works.chain(python::names()).collect();
    // Some works are measured in Rust and in Python.
    names.sort_unstable();
    names.dedup();
    names
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.1 to 60".into()),
    }
}

impl Flags {
    fn wants(&self, name: &str) -> bool {
        if self.channels {
            channels::names().any(|work| work == name)
        } else {
            self.only.is_empty() || self.only.iter().any(|only| only == name)
        }
    }

    /// Returns why a work of `--only` is not measured, if one is not.
    fn unmeasured(&self) -> Option<String> {
        let in_python = |name: &str| python::names().any(|work| work == name);
        let in_rust = |name: &str| {
            let mut works = WORKS.iter().map(|work| work.name).chain([IDLE]);
            works.any(|work| work == name) || channels::names().any(|work| work == name)
        };
        let (is_measured, remedy): (&dyn Fn(&str) -> bool, _) = match self.wheel {
            Some(_) => (
                &in_python,
                "leave out --wheel, or --python of cargo xtask bench",
            ),
            None => (
                &in_rust,
                "give --wheel PYTHON, or cargo xtask bench --python",
            ),
        };
        let name = self.only.iter().find(|name| !is_measured(name))?;
        Some(format!("--only {name} is not measured here: {remedy}"))
    }

    /// Returns the directory of the report.
    fn directory<'a>(&self, place: &'a Place) -> &'a Path {
        if self.is_full() {
            Path::new(env!("CARGO_MANIFEST_DIR"))
        } else {
            &place.directory
        }
    }

    /// Returns whether the results replace those of the repository.
    fn is_full(&self) -> bool {
        self.only.is_empty() && !self.quick
    }
}

/// Measures the wheel, and writes the report about it.
fn measure_wheel(flags: &Flags, python: &Path, place: &Place) -> io::Result<()> {
    let extent = python::Extent {
        works: python::names().filter(|name| flags.wants(name)).collect(),
        rounds: flags.rounds,
        time: Duration::from_secs_f64(flags.seconds),
        python,
    };
    let report = python::measure(&extent, place)?;
    let directory = flags.directory(place);
    fs::write(directory.join("PYTHON.md"), &report)?;
    println!("\n{report}");
    println!("The results are in {}.", directory.display());
    Ok(())
}

fn main() -> ExitCode {
    let mut flags = Flags::parse();
    if flags.quick {
        (flags.seconds, flags.rounds) = (0.5, 2);
    }
    if let Some(reason) = flags.unmeasured() {
        eprintln!("error: {reason}");
        return ExitCode::from(2);
    }
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> io::Result<()> {
    let begun = Instant::now();
    // This process and the servers, which inherit the limit, open thousands of connections.
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let programs = std::env::current_exe()?;
    let programs = programs.parent().expect("a program is in a directory");
    let directory = programs.with_file_name("bench");
    fs::create_dir_all(&directory)?;
    let place = Place {
        programs: programs.to_owned(),
        directory,
        core: bind_to_cores(),
    };
    let mut results = Results {
        connections: idle::connections(files),
        ..Results::default()
    };
    if flags.count {
        count_all(&mut results, &place)?;
        println!("\n{}", report::counts(&results));
        return Ok(());
    }
    if let Some(python) = &flags.wheel {
        measure_wheel(flags, python, &place)?;
        println!("All of it took {:.0?}.", begun.elapsed());
        return Ok(());
    }
    for server in Server::ALL {
        if !server.is_available() {
            println!("{} is not installed, and is left out.", server.name());
        }
    }
    let works: Vec<_> = WORKS.iter().filter(|work| flags.wants(work.name)).collect();
    for (index, work) in works.iter().enumerate() {
        println!("\n[{}/{}] {}", index + 1, works.len(), work.title);
        let result = measure_work(work, flags, &place)?;
        results.works.push(result);
    }
    if flags.wants(IDLE) {
        measure_idle(&mut results, flags.rounds.min(IDLE_ROUNDS), &place)?;
    }
    if flags.is_full() && !flags.channels {
        count_all(&mut results, &place)?;
    }
    let section = measure_channels(flags, &place)?;
    let directory = flags.directory(&place);
    let file = directory.join("RESULTS.md");
    let mut report = if flags.channels {
        fs::read_to_string(&file).unwrap_or_default()
    } else {
        report::write(&results, flags.rounds, flags.seconds, place.core.is_some())
    };
    if let Some(section) = &section {
        report = channels::report::replace(&report, section);
    }
    fs::write(&file, &report)?;
    if !results.works.is_empty() {
        fs::write(directory.join("results.svg"), chart::draw(&results.works))?;
    }
    println!("\n{}", section.filter(|_| flags.channels).unwrap_or(report));
    println!("The results are in {}.", directory.display());
    println!("All of it took {:.0?}.", begun.elapsed());
    Ok(())
}

fn measure_work(work: &'static Work, flags: &Flags, place: &Place) -> io::Result<WorkResult> {
    prepare_files(work, place)?;
    let time = Duration::from_secs_f64(flags.seconds);
    let servers = measure(work.peers, flags.rounds, |server| {
        let running = Running::start(server, place)?;
        let outcome = client::load(work.traffic, &running, WARM_UP, time)?;
        println!(
            "  {:<26} {:>9.0} {}/s {:>9.2} us CPU",
            server.name(),
            outcome.rate,
            work.traffic.unit(),
            outcome.cpu
        );
        Ok(outcome)
    })?;
    Ok(WorkResult { work, servers })
}

fn measure_idle(results: &mut Results, rounds: u32, place: &Place) -> io::Result<()> {
    for kind in Kind::ALL {
        println!("\n{}", kind.name());
        let servers = measure(kind.peers(), rounds, |server| {
            let memory = idle::measure(kind, server, place, results.connections)?;
            println!("  {:<26} {memory:>9.1} KB each", server.name());
            Ok(memory)
        })?;
        for (server, memory) in servers {
            results.idle.push((kind, server, Spread::of(memory)));
        }
    }
    Ok(())
}

/// Measures the works of the channel layer that are wanted. Returns their section of the report.
fn measure_channels(flags: &Flags, place: &Place) -> io::Result<Option<String>> {
    let works: Vec<_> = channels::names().filter(|work| flags.wants(work)).collect();
    if works.is_empty() {
        return Ok(None);
    }
    let python = flags.python.as_deref();
    for subject in Subject::ALL {
        if !subject.is_available(python) {
            println!("{} is not installed, and is left out.", subject.name());
        }
    }
    let extent = channels::Extent {
        works,
        rounds: flags.rounds.min(channels::MOST_ROUNDS),
        warm_up: WARM_UP,
        time: Duration::from_secs_f64(flags.seconds),
        python,
    };
    let load_before = machine::load();
    let results = channels::measure(&extent, place)?;
    let loads = [load_before, machine::load()];
    let section = channels::report::section(&results, extent.rounds, flags.seconds, python, loads);
    Ok(Some(section))
}

/// Measures Callgate and its peers in turns.
fn measure<T>(
    peers: &[Server],
    rounds: u32,
    mut once: impl FnMut(Server) -> io::Result<T>,
) -> io::Result<Vec<(Server, Vec<T>)>> {
    let servers = [Server::Callgate].iter().chain(peers);
    let servers: Vec<_> = servers
        .filter(|server| server.is_available())
        .copied()
        .collect();
    in_turns(&servers, rounds, |server| {
        once(server)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", server.name())))
    })
}

/// Measures each subject once a round, in an order that is reversed every other round.
fn in_turns<S: Copy, T>(
    subjects: &[S],
    rounds: u32,
    mut once: impl FnMut(S) -> io::Result<T>,
) -> io::Result<Vec<(S, Vec<T>)>> {
    let mut measured: Vec<_> = subjects
        .iter()
        .map(|&subject| (subject, Vec::new()))
        .collect();
    for round in 0..rounds {
        let mut order: Vec<_> = (0..measured.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (subject, values) = &mut measured[index];
            values.push(once(*subject)?);
        }
    }
    Ok(measured)
}

fn count_all(results: &mut Results, place: &Place) -> io::Result<()> {
    if count::version().is_none() {
        println!("\nvalgrind is not installed: nothing is counted.");
        return Ok(());
    }
    println!("\ninstructions and allocations of a plain exchange");
    for server in count::SERVERS {
        let count = count::count(server, place)?;
        println!(
            "  {:<26} {:>9.0} instructions {:>5.1} allocations",
            server.name(),
            count.instructions,
            count.allocations
        );
        results.counts.push(count);
    }
    Ok(())
}

/// Writes the file that a work sends, if there is none yet.
fn prepare_files(work: &Work, place: &Place) -> io::Result<()> {
    let work::Traffic::Requests { path, response, .. } = work.traffic else {
        return Ok(());
    };
    let Some(name) = path.strip_prefix("/file/") else {
        return Ok(());
    };
    fs::create_dir_all(place.files())?;
    let path: PathBuf = place.files().join(name);
    if fs::metadata(&path).map_or(0, |file| file.len()) != response as u64 {
        fs::write(&path, vec![b'x'; response])?;
    }
    Ok(())
}

/// Binds this process to the second core, and returns the first, for the servers; `None` if there is
/// only one core, or no `taskset`.
fn bind_to_cores() -> Option<&'static str> {
    bind_to(CORE_OF_THE_CLIENT).then_some("0")
}

/// Binds this process to these cores. Returns whether it is bound.
fn bind_to(cores: &str) -> bool {
    let own = std::process::id().to_string();
    let output = Command::new("taskset")
        .args(["--all-tasks", "--pid", "--cpu-list", cores, &own])
        .output();
    output.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_that_is_not_measured_is_an_error() {
        let reason = |args: &[&str]| {
            let args = ["side-by-side"].iter().chain(args);
            Flags::parse_from(args).unmeasured()
        };
        let python = ["--wheel", "python3"];
        for work in ["hello", IDLE, "group-1k"] {
            assert_eq!(reason(&["--only", work]), None, "{work}");
        }
        assert_eq!(reason(&["--only", "hello", "--wheel", "python3"]), None);
        assert_eq!(reason(&python), None);
        let in_python = reason(&["--only", "hello", "--only", "fastapi-json"]).unwrap();
        assert!(in_python.contains("--only fastapi-json"), "{in_python}");
        let in_rust = reason(&["--only", "group-1k", "--wheel", "python3"]).unwrap();
        assert!(in_rust.contains("--only group-1k"), "{in_rust}");
    }
}
