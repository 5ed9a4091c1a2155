//! The fan-out in memory beside tokio's broadcast channel, without sockets.

use std::io;
use std::process::Command;

use crate::count::{CALLGRIND, number_after};
use crate::server::Place;

/// The numbers of subscribers.
pub(crate) const SUBSCRIBERS: [u64; 3] = [1, 100, 1_000];

/// The time of a group, in relation to that of the broadcast channel, that is to be reached.
pub(crate) const GOAL: f64 = 1.2;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Group,
    Broadcast,
}

impl Channel {
    pub(crate) const BOTH: [Self; 2] = [Self::Group, Self::Broadcast];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Group => "Callgate, memory",
            Self::Broadcast => "tokio::sync::broadcast",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Broadcast => "broadcast",
        }
    }
}

/// The deliveries of a measurement, and of the two runs whose instructions are counted.
const DELIVERIES: u64 = 1_000_000;
const FEW: u64 = 10_000;
const MANY: u64 = 30_000;

/// Returns the nanoseconds that a delivery takes.
pub(crate) fn time(channel: Channel, subscribers: u64, place: &Place) -> io::Result<f64> {
    let output = run(&[], channel, subscribers, DELIVERIES, place)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let nanoseconds: f64 = text.trim().parse().map_err(io::Error::other)?;
    Ok(nanoseconds / messages(DELIVERIES, subscribers) as f64 / subscribers as f64)
}

/// Returns the instructions that a delivery takes, with the publications.
pub(crate) fn instructions(channel: Channel, subscribers: u64, place: &Place) -> io::Result<f64> {
    let count = |deliveries| {
        let output = run(&CALLGRIND, channel, subscribers, deliveries, place)?;
        let text = String::from_utf8_lossy(&output.stderr);
        number_after(&text, "Collected :")
            .ok_or_else(|| io::Error::other(format!("no count in: {text}")))
    };
    let difference = messages(MANY, subscribers) - messages(FEW, subscribers);
    Ok((count(MANY)? - count(FEW)?) / (difference * subscribers) as f64)
}

fn messages(deliveries: u64, subscribers: u64) -> u64 {
    deliveries / subscribers
}

fn run(
    tool: &[&str],
    channel: Channel,
    subscribers: u64,
    deliveries: u64,
    place: &Place,
) -> io::Result<std::process::Output> {
    let mut words: Vec<String> = Vec::new();
    if let Some(core) = place.core {
        words.extend(["taskset", "--cpu-list", core].map(str::to_owned));
    }
    words.extend(tool.iter().map(|&word| word.to_owned()));
    words.push(place.programs.join("fan-out").display().to_string());
    words.extend(["--channel", channel.argument()].map(str::to_owned));
    words.extend(["--subscribers".to_owned(), subscribers.to_string()]);
    let messages = messages(deliveries, subscribers);
    words.extend(["--messages".to_owned(), messages.to_string()]);
    let output = Command::new(&words[0]).args(&words[1..]).output()?;
    if output.status.success() {
        Ok(output)
    } else {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(io::Error::other(reason))
    }
}
