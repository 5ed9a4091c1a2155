//! The results of the channel layer as a section of the report.

use std::fmt::Write as _;
use std::path::Path;

use super::fan_out::{self, Channel};
use super::load::Outcome;
use super::subject::{self, Subject};
use super::work::RATE_GOAL;
use super::{Results, SlowClientResult, WorkResult, redis};
use crate::machine;
use crate::results::Spread;
use crate::results::report::yes_or_no;

/// The heading of the section, which is the last of the report.
const HEADING: &str = "## The channel layer\n";

const METHOD: &str = "\
Each WebSocket of a group receives each message, of 64 bytes. One of them publishes a message when all have the one before; where
16 publish, each of them publishes one when all have the 16 before. Each
server process runs on one thread, and all server processes share a core. The client is on another core, and reads each message;
Redis is there too. The client checks the number of each message of each WebSocket: *lost* is what did not arrive
within 30 s, without a word of the application. The time is that from the publication in the client to the receipt in the client, with the queue of
all deliveries before. Callgate and uvicorn are measured in turns, round after round, each time as new processes with a new
Redis. The applications are as small as the documents of each layer show; the settings are at their defaults, without access log.

A ratio is the result of Callgate on Redis to that of the peer in the same round. CPU is the time of the server processes in user
space and in the kernel, without Redis. Memory is what the WebSockets add to the server processes, measured after the load.
";

/// Returns the section.
pub(crate) fn section(
    results: &Results,
    rounds: u32,
    seconds: f64,
    python: Option<&Path>,
    loads: [String; 2],
) -> String {
    let mut text = format!("{HEADING}\n{METHOD}");
    let round = if rounds == 1 { "round" } else { "rounds" };
    add(
        &mut text,
        format_args!("{rounds} {round} of {seconds} s.\n\n"),
    );
    for (name, value) in machine::machine() {
        add(&mut text, format_args!("- {name}: {value}\n"));
    }
    let [before, after] = loads;
    add(
        &mut text,
        format_args!("- load of the machine: {before} before, {after} at the end\n"),
    );
    let redis = redis::version().unwrap_or_else(|| "not installed".into());
    add(&mut text, format_args!("- Redis: {redis}\n"));
    for (name, version) in python.and_then(subject::versions).unwrap_or_default() {
        let name = if name == "redis" {
            "redis (Python)"
        } else {
            name
        };
        add(&mut text, format_args!("- {name}: {version}\n"));
    }
    if !results.works.is_empty() {
        beside_peers(&mut text, &results.works);
        figures(&mut text, &results.works);
    }
    if !results.slow_client.is_empty() {
        slow_client(&mut text, &results.slow_client);
    }
    if !results.fan_out.is_empty() {
        fan_out(&mut text, results);
    }
    text
}

/// Returns a report with this section. It replaces the section of the same heading, or stands at the end of the
/// report.
pub(crate) fn replace(report: &str, section: &str) -> String {
    let before = match report.find(&format!("\n{HEADING}")) {
        Some(end) => &report[..end],
        None => report.trim_end_matches('\n'),
    };
    format!("{}\n\n{section}", before.trim_end_matches('\n'))
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes everything");
}

fn beside_peers(text: &mut String, works: &[WorkResult]) {
    *text += "\n### Broadcast beside the peers\n\n\
              | work | peer | deliveries/s | CPU a delivery | p99 | to reach | reached |\n\
              | --- | --- | --- | --- | --- | --- | --- |\n";
    for result in works {
        for &(peer, _) in &result.subjects {
            if matches!(peer, Subject::Memory | Subject::Redis) {
                continue;
            }
            let ratio = |value| result.ratio(Subject::Redis, peer, value);
            let (Some(rate), Some(cpu), Some(p99)) = (
                ratio(|outcome| outcome.rate),
                ratio(|outcome| outcome.cpu),
                ratio(|outcome| outcome.p99),
            ) else {
                continue;
            };
            add(
                text,
                format_args!(
                    "| {} | {} | {rate:.1} | {cpu:.3} | {p99:.3} | deliveries/s >= {RATE_GOAL:.1} | {} |\n",
                    result.work.title,
                    peer.name(),
                    yes_or_no(rate.median >= RATE_GOAL),
                ),
            );
        }
    }
}

fn figures(text: &mut String, works: &[WorkResult]) {
    *text += "\n### Figures of broadcast\n\n\
              | work | layer | messages/s | deliveries/s | p50, ms | p99, ms | CPU, us a delivery | \
              CPU of Redis, us a message | KB a WebSocket | lost |\n\
              | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for result in works {
        for (subject, outcomes) in &result.subjects {
            let value = |value| result.value(*subject, value).expect("it took part");
            let rate = value(|outcome| outcome.rate);
            add(
                text,
                format_args!(
                    "| {} | {} | {:.1} | {rate:.0} | {:.1} | {:.1} | {:.2} | {:.0} | {:.1} | {} |\n",
                    result.work.title,
                    subject.name(),
                    rate.median / result.work.load.sockets as f64,
                    value(|outcome| outcome.p50),
                    value(|outcome| outcome.p99),
                    value(|outcome| outcome.cpu),
                    value(|outcome| outcome.redis_cpu).median,
                    value(|outcome| outcome.memory),
                    lost(outcomes),
                ),
            );
        }
    }
}

/// Returns the deliveries that are missing in all rounds.
fn lost(outcomes: &[Outcome]) -> String {
    let sum = |value: fn(&Outcome) -> u64| outcomes.iter().map(value).sum::<u64>();
    match (sum(|outcome| outcome.lost), sum(|outcome| outcome.told)) {
        (0, 0) => "0".to_owned(),
        (lost, 0) => format!("**{lost}**"),
        (lost, told) => format!("**{lost}**, and {told} with a notice"),
    }
}

fn slow_client(text: &mut String, results: &[SlowClientResult]) {
    *text += "\n### A client that does not read\n\n\
              50 WebSockets receive messages of 32 KB; one more does not read until the end. The p99 is that of the 50. At the end\n\
              the slow client reads what it can still get. Its messages are the sum of all rounds.\n\n\
              | layer | p99 without it, ms | p99 with it, ms | ratio | it received | missing, with a notice | missing, in silence |\n\
              | --- | --- | --- | --- | --- | --- | --- |\n";
    for SlowClientResult {
        subject,
        without,
        with,
    } in results
    {
        let p99 = |outcomes: &[Outcome]| Spread::of(outcomes.iter().map(|outcome| outcome.p99));
        let rounds = without.iter().zip(with);
        let ratio = Spread::of(rounds.map(|(without, with)| with.p99 / without.p99));
        let sum = |value: fn(&super::member::Member) -> u64| {
            let slow = with.iter().filter_map(|outcome| outcome.slow.as_ref());
            slow.map(value).sum::<u64>()
        };
        add(
            text,
            format_args!(
                "| {} | {:.1} | {:.1} | {ratio:.2} | {} | {} | {} |\n",
                subject.name(),
                p99(without),
                p99(with),
                sum(|slow| slow.received),
                sum(|slow| slow.told),
                match sum(|slow| slow.lost) {
                    0 => "0".to_owned(),
                    lost => format!("**{lost}**"),
                },
            ),
        );
    }
}

fn fan_out(text: &mut String, results: &Results) {
    add(
        text,
        format_args!(
            "\n### Fan-out in process\n\n\
             The memory backend beside `{}`, both on one thread, without sockets. Each message is published when all subscribers \
             have the one before.\n\n\
             | subscribers | group, ns a delivery | broadcast, ns a delivery | ratio | instructions | of the broadcast | ratio | \
             to reach | reached |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            Channel::Broadcast.name()
        ),
    );
    for result in &results.fan_out {
        let [group, broadcast] = &result.times;
        let rounds = group.iter().zip(broadcast);
        let ratio = Spread::of(rounds.map(|(group, broadcast)| group / broadcast));
        let counts = result.instructions.map_or_else(
            || ["", "", ""].map(str::to_owned),
            |[group, broadcast]| {
                [
                    format!("{group:.0}"),
                    format!("{broadcast:.0}"),
                    format!("{:.2}", group / broadcast),
                ]
            },
        );
        add(
            text,
            format_args!(
                "| {} | {:.0} | {:.0} | {ratio:.2} | {} | time <= {:.1} | {} |\n",
                result.subscribers,
                Spread::of(group.iter().copied()),
                Spread::of(broadcast.iter().copied()),
                counts.join(" | "),
                fan_out::GOAL,
                yes_or_no(ratio.median <= fan_out::GOAL),
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_replaces_the_one_before() {
        let first = replace(
            "# Measurements\n\n## Memory\n\nx\n",
            "## The channel layer\n\nold\n",
        );
        assert_eq!(
            first,
            "# Measurements\n\n## Memory\n\nx\n\n## The channel layer\n\nold\n"
        );
        assert_eq!(
            replace(&first, "## The channel layer\n\nnew\n"),
            "# Measurements\n\n## Memory\n\nx\n\n## The channel layer\n\nnew\n"
        );
    }
}
