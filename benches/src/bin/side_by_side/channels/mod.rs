//! The works of the channel layer.

mod fan_out;
mod load;
mod member;
pub(crate) mod redis;
pub(crate) mod report;
pub(crate) mod subject;
mod work;

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::in_turns;
use crate::results::Spread;
use crate::server::Place;
use fan_out::Channel;
use load::{Load, Outcome};
use subject::{Servers, Subject};
use work::{FAN_OUT, OF_SLOW_CLIENT, SLOW_CLIENT, WORKS, Work};

pub(crate) use work::names;

/// The most rounds: a round of these works takes minutes.
pub(crate) const MOST_ROUNDS: u32 = 3;

/// How the works are measured.
#[derive(Debug)]
pub(crate) struct Extent<'a> {
    /// The names of the works.
    pub(crate) works: Vec<&'static str>,
    pub(crate) rounds: u32,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    /// The interpreter of an environment with the peers in Python.
    pub(crate) python: Option<&'a Path>,
}

impl Extent<'_> {
    fn wants(&self, name: &str) -> bool {
        self.works.contains(&name)
    }
}

/// The results of all works.
#[derive(Debug, Default)]
pub(crate) struct Results {
    works: Vec<WorkResult>,
    slow_client: Vec<SlowClientResult>,
    fan_out: Vec<FanOutResult>,
}

/// The outcomes of each subject, by round.
#[derive(Debug)]
struct WorkResult {
    work: &'static Work,
    subjects: Vec<(Subject, Vec<Outcome>)>,
}

/// The outcomes without and with a client that does not read, by round.
#[derive(Debug)]
struct SlowClientResult {
    subject: Subject,
    without: Vec<Outcome>,
    with: Vec<Outcome>,
}

/// What a delivery in process takes.
#[derive(Debug)]
struct FanOutResult {
    subscribers: u64,
    /// The nanoseconds by round, of both channels.
    times: [Vec<f64>; 2],
    /// The instructions of both channels, if they can be counted.
    instructions: Option<[f64; 2]>,
}

impl WorkResult {
    fn outcomes(&self, subject: Subject) -> Option<&[Outcome]> {
        let (_, outcomes) = self.subjects.iter().find(|(each, _)| *each == subject)?;
        Some(outcomes)
    }

    /// Returns the values of a subject.
    fn value(&self, subject: Subject, value: fn(&Outcome) -> f64) -> Option<Spread> {
        Some(Spread::of(self.outcomes(subject)?.iter().map(value)))
    }

    /// Returns the ratios of a subject's values to another's, each within one round.
    fn ratio(
        &self,
        subject: Subject,
        other: Subject,
        value: fn(&Outcome) -> f64,
    ) -> Option<Spread> {
        let rounds = self.outcomes(subject)?.iter().zip(self.outcomes(other)?);
        Some(Spread::of(
            rounds.map(|(subject, other)| value(subject) / value(other)),
        ))
    }
}

/// Measures the works that are wanted.
pub(crate) fn measure(extent: &Extent<'_>, place: &Place) -> io::Result<Results> {
    let mut results = Results::default();
    for work in WORKS.iter().filter(|work| extent.wants(work.name)) {
        println!("\ngroup: {}", work.title);
        let subjects = available(work.subjects, extent);
        let subjects = in_turns(&subjects, extent.rounds, |subject| {
            broadcast(subject, work.load, work.processes, extent, place)
        })?;
        results.works.push(WorkResult { work, subjects });
    }
    if extent.wants(SLOW_CLIENT) {
        println!("\ngroup: a client that does not read");
        results.slow_client = slow_client(extent, place)?;
    }
    if extent.wants(FAN_OUT) {
        println!("\ngroup: fan-out in process");
        results.fan_out = fan_out(extent, place)?;
    }
    Ok(results)
}

fn available(subjects: &[Subject], extent: &Extent<'_>) -> Vec<Subject> {
    let is_available = |subject: &Subject| subject.is_available(extent.python);
    subjects.iter().copied().filter(is_available).collect()
}

fn broadcast(
    subject: Subject,
    load: Load,
    processes: usize,
    extent: &Extent<'_>,
    place: &Place,
) -> io::Result<Outcome> {
    let servers = Servers::start(subject, processes, place, extent.python)?;
    let outcome = load::load(load, &servers, extent.warm_up, extent.time)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", subject.name())))?;
    println!(
        "  {:<32} {:>8.0} deliveries/s {:>8.1} ms p99 {:>8.2} us CPU {:>7.1} KB{}",
        subject.name(),
        outcome.rate,
        outcome.p99,
        outcome.cpu,
        outcome.memory,
        match outcome.lost {
            0 => String::new(),
            lost => format!(", {lost} lost"),
        }
    );
    Ok(outcome)
}

fn slow_client(extent: &Extent<'_>, place: &Place) -> io::Result<Vec<SlowClientResult>> {
    let cases: Vec<_> = available(OF_SLOW_CLIENT, extent)
        .into_iter()
        .flat_map(|subject| [(subject, false), (subject, true)])
        .collect();
    let measured = in_turns(&cases, extent.rounds, |(subject, has_slow_client)| {
        let load = work::with_slow_client(has_slow_client);
        broadcast(subject, load, 1, extent, place)
    })?;
    let mut measured = measured.into_iter();
    let mut results = Vec::new();
    while let (Some(((subject, _), without)), Some((_, with))) = (measured.next(), measured.next())
    {
        results.push(SlowClientResult {
            subject,
            without,
            with,
        });
    }
    Ok(results)
}

fn fan_out(extent: &Extent<'_>, place: &Place) -> io::Result<Vec<FanOutResult>> {
    let can_count = crate::count::version().is_some();
    let result = |subscribers| {
        let measured = in_turns(&Channel::BOTH, extent.rounds, |channel| {
            let time = fan_out::time(channel, subscribers, place)?;
            println!(
                "  {:<32} {subscribers:>5} subscribers {time:>8.1} ns",
                channel.name()
            );
            Ok(time)
        })?;
        let count = |channel| fan_out::instructions(channel, subscribers, place);
        let instructions = match can_count {
            true => Some([count(Channel::Group)?, count(Channel::Broadcast)?]),
            false => None,
        };
        let mut times = measured.into_iter().map(|(_, times)| times);
        let mut next = || times.next().expect("both were measured");
        Ok(FanOutResult {
            subscribers,
            times: [next(), next()],
            instructions,
        })
    };
    fan_out::SUBSCRIBERS.into_iter().map(result).collect()
}
