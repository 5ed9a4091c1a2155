//! The results as Markdown.

use std::fmt::Write as _;

use super::server::Server;
use super::work::{WITH_MEMORY, WORKS};
use super::{Extent, Outcome, Results, WorkResult};
use crate::machine;
use crate::results::Spread;
use crate::results::report::yes_or_no;
use crate::server::Place;

const METHOD: &str = "\
Every server runs the same applications, which are in [`src/peers/python`](src/peers/python), with the settings that its users get: the
loop uvloop, no access log, the collector of cycles as the server ships it. [The commands](#the-commands) have the flags. A server has one
worker, or the number that is in the name of the work. The client loads it over loopback and checks each answer, status and content. The servers of a work are measured
in turns, round after round, each time as new processes, which have come to rest before the load begins.

A ratio is Callgate's result to that of the peer in the same round. A figure is the median of all rounds, with the least and the greatest in
brackets. CPU is the time of all processes of the server, in user space and in the kernel. Memory is the proportional set size of all its
processes: a page that two of them share is counted once. A KB is 1,024 bytes.
[NOTES.md](NOTES.md#how-the-wheel-is-measured) says more.
";

/// The ratio to the fastest peer that is to be reached by each work.
const FASTEST: f64 = 0.95;

/// Returns the report.
pub(super) fn write(
    results: &Results,
    extent: &Extent<'_>,
    place: &Place,
    versions: &[(String, String)],
    loads: &[String; 2],
) -> String {
    let mut text =
        "# Measurements of the wheel\n\n`cargo xtask bench --python` writes this file.\n\n"
            .to_owned();
    text += METHOD;
    text.push('\n');
    let pinned = match place.core {
        Some(_) => {
            "Servers with one worker and the client are bound to a core each; where a server has more, nothing is bound."
        }
        None => "Nothing is bound to cores, as `taskset` or a second core is missing.",
    };
    let round = if extent.rounds == 1 {
        "round"
    } else {
        "rounds"
    };
    let [before, after] = loads;
    add(
        &mut text,
        format_args!(
            "{pinned} {} {round} of {} s.\n\n",
            extent.rounds,
            extent.time.as_secs_f64()
        ),
    );
    for (name, value) in machine::machine() {
        add(&mut text, format_args!("- {name}: {value}\n"));
    }
    add(
        &mut text,
        format_args!("- load of the machine: {before} before, {after} at the end\n"),
    );
    for (name, version) in versions {
        add(&mut text, format_args!("- {name}: {version}\n"));
    }
    if !results.works.is_empty() {
        ratios(&mut text, &results.works);
        figures(&mut text, &results.works);
    }
    memory(&mut text, results);
    left_out(&mut text, results);
    commands(&mut text);
    text
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes everything");
}

fn cpu(outcome: &Outcome) -> f64 {
    outcome.cpu
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.rate
}

fn ratios(text: &mut String, works: &[WorkResult]) {
    *text += "\n## Callgate beside its peers\n\nThe fastest peer of a work is that with the least CPU time.\n\n\
              | work | peer | CPU a request | requests/s | CPU to reach | reached |\n\
              | --- | --- | --- | --- | --- | --- |\n";
    for result in works {
        let fastest = result.fastest_peer();
        for &(peer, _) in &result.servers {
            if peer == Server::Callgate {
                continue;
            }
            let (Some(cpu), Some(rate)) = (result.ratio(peer, cpu), result.ratio(peer, rate))
            else {
                continue;
            };
            let goals = result.work.goals.iter();
            let goals = goals.filter(|(of, _)| *of == peer).map(|&(_, bound)| bound);
            let is_fastest = fastest == Some(peer);
            let goals = goals.chain(is_fastest.then_some(FASTEST));
            let (bounds, reached): (Vec<_>, Vec<_>) = goals
                .map(|bound| (format!("<= {bound:.2}"), yes_or_no(cpu.median <= bound)))
                .unzip();
            add(
                text,
                format_args!(
                    "| {} | {}{} | {cpu:.2} | {rate:.2} | {} | {} |\n",
                    result.work.title,
                    peer.name(),
                    if is_fastest { ", the fastest" } else { "" },
                    bounds.join(", "),
                    reached.join(", "),
                ),
            );
        }
    }
}

fn figures(text: &mut String, works: &[WorkResult]) {
    *text += "\n## Figures\n\n\
              | work | server | per second | CPU, microseconds each |\n\
              | --- | --- | --- | --- |\n";
    for result in works {
        for &(server, _) in &result.servers {
            let value = |value| result.values(server, value).expect("it took part");
            add(
                text,
                format_args!(
                    "| {} | {} | {:.0} {} | {:.1} |\n",
                    result.work.title,
                    server.name(),
                    value(rate),
                    result.work.traffic.unit(),
                    value(cpu),
                ),
            );
        }
    }
}

fn memory(text: &mut String, results: &Results) {
    let hello = results.works.iter();
    let hello = hello.filter(|result| result.work.name == WITH_MEMORY);
    let rows: Vec<_> = hello
        .flat_map(|result| {
            result.servers.iter().map(|(server, outcomes)| {
                let memory = Spread::of(outcomes.iter().map(|outcome| outcome.memory));
                (
                    format!("{}, after the load", result.work.title),
                    server,
                    memory,
                    "MB",
                )
            })
        })
        .chain(results.idle.iter().flat_map(|idle| {
            let servers = idle.servers.iter();
            servers.map(|(server, memory)| {
                let title = format!("{}, each", idle.work.title);
                (title, server, Spread::of(memory.iter().copied()), "KB")
            })
        }))
        .collect();
    if rows.is_empty() {
        return;
    }
    *text += "\n## Memory\n\n| work | server | memory |\n| --- | --- | --- |\n";
    for (title, server, memory, unit) in rows {
        let name = server.name();
        add(
            text,
            format_args!("| {title} | {name} | {memory:.1} {unit} |\n"),
        );
    }
}

fn left_out(text: &mut String, results: &Results) {
    if results.left_out.is_empty() && results.skipped.is_empty() {
        return;
    }
    *text += "\n## What was left out\n\n| work | server | why |\n| --- | --- | --- |\n";
    for (work, why) in &results.skipped {
        add(text, format_args!("| {} | all | {why} |\n", work.title));
    }
    for left_out in &results.left_out {
        let work = left_out.work.map_or("all", |work| work.title);
        let (name, why) = (left_out.server.name(), left_out.why.replace('|', r"\|"));
        add(text, format_args!("| {work} | {name} | {why} |\n"));
    }
}

fn commands(text: &mut String) {
    *text += "\n## The commands\n\nThe port is another each time. A work that is not named has the command of hello; a work of FastAPI has the application `with_fastapi:app`.\n\n```text\n";
    let hello = &WORKS[0];
    for work in &WORKS {
        let is_hello = std::ptr::eq(work, hello);
        for server in Server::ALL {
            let (command, plain) = (server.shown(work), server.shown(hello));
            let is_other = command != plain.replace(hello.app, work.app);
            if server.offers(work) && (is_hello || is_other) {
                add(text, format_args!("{}: {command}\n", work.name));
            }
        }
    }
    *text += "```\n";
}
