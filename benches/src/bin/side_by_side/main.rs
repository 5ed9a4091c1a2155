//! Measures Callgate beside bare hyper, over loopback: `cargo xtask bench`.
//!
//! Both are loaded in turns, in an order that changes from round to round, each time as a process
//! of its own; a ratio always compares results of the same round. Ratios carry over to other
//! machines better than times do. Nothing is asserted.

mod idle;
mod load;
mod server;
mod table;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::idle::Kind;
use crate::load::Load;
use crate::server::{Contender, Running};
use crate::table::{Row, Spread};

/// Measures Callgate beside bare hyper
#[derive(Debug, Parser)]
struct Flags {
    /// The time of each load, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// The number of rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    rounds: u64,
    /// Measure only this; may be repeated
    #[arg(long, value_parser = ["plain", "pipelined", "h2", "idle"])]
    only: Vec<String>,
}

impl Flags {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// The results of each contender, by round.
type Rounds<T> = Vec<(Contender, Vec<T>)>;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> io::Result<()> {
    // This process and the servers, which inherit the limit, open thousands of connections.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut rows = Vec::new();
    for load in Load::ALL
        .into_iter()
        .filter(|load| flags.wants(load.name()))
    {
        let rounds = measure(load.contenders(), flags.rounds, |contender| {
            measure_load(load, contender, flags.seconds)
        })?;
        rows.extend(load_rows(load, &rounds));
    }
    if !rows.is_empty() {
        println!("\n{}", table::loads(&rows));
    }
    if flags.wants("idle") {
        let mut lines = Vec::new();
        for kind in Kind::ALL {
            let rounds = measure(kind.contenders(), flags.rounds.min(3), |contender| {
                idle::measure(kind, contender)
            })?;
            for (contender, values) in &rounds {
                lines.push((kind, *contender, Spread::of(values)));
            }
        }
        println!("\n{}", table::idle(&lines));
    }
    Ok(())
}

/// Measures each contender once a round, in an order that is reversed every other round.
fn measure<T>(
    contenders: &[Contender],
    rounds: u64,
    mut once: impl FnMut(Contender) -> io::Result<T>,
) -> io::Result<Rounds<T>> {
    let mut results: Rounds<T> = contenders.iter().map(|&each| (each, Vec::new())).collect();
    for round in 0..rounds {
        let mut order: Vec<_> = (0..results.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (contender, values) = &mut results[index];
            values.push(once(*contender)?);
        }
    }
    Ok(results)
}

/// The results of one contender under one load.
#[derive(Clone, Copy, Debug)]
struct Measured {
    per_second: f64,
    /// Microseconds of the server's CPU time.
    cpu_per_request: f64,
    /// Bytes.
    peak_memory: f64,
}

fn measure_load(load: Load, contender: Contender, seconds: u64) -> io::Result<Measured> {
    let server = Running::start(contender, "hello")?;
    load.run(&server, Duration::from_secs(1))?;
    let cpu_before = server.cpu_time()?;
    let outcome = load.run(&server, Duration::from_secs(seconds))?;
    let cpu = server.cpu_time()? - cpu_before;
    let measured = Measured {
        per_second: outcome.per_second,
        cpu_per_request: cpu.as_secs_f64() * 1e6 / outcome.requests as f64,
        peak_memory: server.peak_memory()? as f64,
    };
    println!(
        "{:<10} {:<26} {:>9.0} requests/s {:>7.2} us CPU",
        load.name(),
        contender.name(),
        measured.per_second,
        measured.cpu_per_request
    );
    Ok(measured)
}

fn load_rows(load: Load, rounds: &Rounds<Measured>) -> Vec<Row> {
    let (_, first) = &rounds[0];
    let spread =
        |of: &dyn Fn(usize) -> f64| Spread::of(&(0..first.len()).map(of).collect::<Vec<_>>());
    rounds
        .iter()
        .map(|(contender, values)| Row {
            load,
            contender: *contender,
            per_second: spread(&|i| values[i].per_second),
            cpu: spread(&|i| values[i].cpu_per_request),
            memory: spread(&|i| values[i].peak_memory),
            per_second_ratio: spread(&|i| values[i].per_second / first[i].per_second),
            cpu_ratio: spread(&|i| values[i].cpu_per_request / first[i].cpu_per_request),
            memory_ratio: spread(&|i| values[i].peak_memory / first[i].peak_memory),
        })
        .collect()
}
