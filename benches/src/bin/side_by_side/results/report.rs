//! The results as Markdown.

use std::fmt::Write as _;

use super::{Results, WorkResult};
use crate::machine;
use crate::server::Server;
use crate::work::{Goal, Metric};

const METHOD: &str = "\
Each server runs on one thread. Its protections are at their defaults, but for idle time-outs, which are 75 s, and it has no access
log. A client on another core, which only counts bytes, loads it over loopback. The servers of a work are measured in turns, round
after round, each time as a new process.

A ratio is Callgate's result to the peer's result of the same round. A figure is the median of all rounds, with the least and the
greatest in brackets. CPU is the time of the server process in user space and in the kernel. A KB is 1,024 bytes.
[NOTES.md](NOTES.md) says more about the servers.
";

/// Returns the report, beside which the chart is `results.svg`.
pub(crate) fn write(results: &Results, rounds: u32, seconds: f64, is_pinned: bool) -> String {
    let mut text = String::from(
        "# Measurements\n\n`cargo xtask bench` writes this file.\n\n\
         ![The rate and the CPU time of each server, relative to the first peer](results.svg)\n\n",
    );
    text += METHOD;
    let pinned = if is_pinned {
        "The servers and the client are bound to a core each."
    } else {
        "The servers and the client are not bound to cores, as `taskset` or a second core is missing."
    };
    let round = if rounds == 1 { "round" } else { "rounds" };
    add(
        &mut text,
        format_args!("{pinned} {rounds} {round} of {seconds} s.\n\n"),
    );
    for (name, value) in machine::describe() {
        add(&mut text, format_args!("- {name}: {value}\n"));
    }
    if !results.works.is_empty() {
        ratios(&mut text, &results.works);
        absolute(&mut text, &results.works);
    }
    if !results.idle.is_empty() {
        idle(&mut text, results);
    }
    if !results.counts.is_empty() {
        text += "\n## Instructions and allocations\n\n";
        text += &counts(results);
    }
    text
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes everything");
}

fn ratios(text: &mut String, works: &[WorkResult]) {
    *text += "\n## Callgate beside its peers\n\n\
              | work | peer | requests/s | CPU a request | to reach | reached |\n\
              | --- | --- | --- | --- | --- | --- |\n";
    for result in works {
        for &(peer, _) in &result.servers[1..] {
            let ratio = |metric| {
                let ratio = result.ratio(Server::Callgate, peer, metric);
                ratio.expect("both took part")
            };
            let goals = result.work.goals.iter().filter(|goal| goal.peer == peer);
            let (bounds, reached): (Vec<_>, Vec<_>) = goals
                .map(|goal| (bound(goal), yes_or_no(result.reaches(goal) == Some(true))))
                .unzip();
            add(
                text,
                format_args!(
                    "| {} | {} | {:.2} | {:.2} | {} | {} |\n",
                    result.work.title,
                    peer.name(),
                    ratio(Metric::Rate),
                    ratio(Metric::Cpu),
                    bounds.join(", "),
                    reached.join(", "),
                ),
            );
        }
    }
}

fn bound(goal: &Goal) -> String {
    match goal.metric {
        Metric::Rate => format!("requests/s >= {:.2}", goal.bound),
        Metric::Cpu => format!("CPU <= {:.2}", goal.bound),
    }
}

pub(crate) fn yes_or_no(is_reached: bool) -> &'static str {
    if is_reached { "yes" } else { "**no**" }
}

fn absolute(text: &mut String, works: &[WorkResult]) {
    *text += "\n## Figures\n\n\
              | work | server | per second | CPU, microseconds each |\n\
              | --- | --- | --- | --- |\n";
    for result in works {
        for &(server, _) in &result.servers {
            let value = |metric| result.absolute(server, metric).expect("it took part");
            add(
                text,
                format_args!(
                    "| {} | {} | {:.0} {} | {:.2} |\n",
                    result.work.title,
                    server.name(),
                    value(Metric::Rate),
                    result.work.traffic.unit(),
                    value(Metric::Cpu),
                ),
            );
        }
    }
}

fn idle(text: &mut String, results: &Results) {
    add(
        text,
        format_args!(
            "\n## Memory\n\nThe resident memory of the server that each of {} idle connections adds.\n\n\
             | connection | server | KB each | to reach | reached |\n\
             | --- | --- | --- | --- | --- |\n",
            results.connections
        ),
    );
    for (kind, server, memory) in &results.idle {
        let goal = kind.goal().filter(|_| *server == Server::Callgate);
        let (bound, reached) = match goal {
            Some(goal) => (format!("<= {goal} KB"), yes_or_no(memory.median <= goal)),
            None => (String::new(), ""),
        };
        add(
            text,
            format_args!(
                "| {} | {} | {memory:.1} | {bound} | {reached} |\n",
                kind.name(),
                server.name()
            ),
        );
    }
}

/// Returns the table of what an exchange takes.
pub(crate) fn counts(results: &Results) -> String {
    let mut text = String::from(
        "What one plain exchange (a GET with three fields, and a short text) takes in user space.\n\n\
         | server | instructions | to bare hyper | allocations | bytes allocated |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let hyper = results
        .counts
        .iter()
        .find(|count| count.server == Server::Hyper);
    for count in &results.counts {
        let ratio = hyper.map(|hyper| format!("{:.2}", count.instructions / hyper.instructions));
        add(
            &mut text,
            format_args!(
                "| {} | {:.0} | {} | {:.1} | {:.0} |\n",
                count.server.name(),
                count.instructions,
                ratio.unwrap_or_default(),
                count.allocations,
                count.allocated,
            ),
        );
    }
    text
}
