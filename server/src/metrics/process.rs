//! The metrics of the process, whose names are the same for every program. They are read from `/proc` when
//! they are asked for.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};

/// Encodes the metrics of this process.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// What `/proc/self/stat` tells (`proc_pid_stat(5)`).
#[derive(Debug, PartialEq)]
struct Status {
    /// The time that the process has used, in the kernel and outside, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// When the process started, in clock ticks since the start of the system.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program, which stands in parentheses, may have blanks.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first of these fields is the third of the line.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// Returns when the system started, in seconds since 1970-01-01.
fn system_start() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Returns the number of the open files.
fn open_files() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    // One of the entries is the folder itself, which is being read.
    u64::try_from(entries.count().saturating_sub(1)).ok()
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let status = fs::read_to_string("/proc/self/stat").ok();
        if let Some(status) = status.and_then(|text| Status::parse(&text)) {
            let ticks = clock_ticks_per_second() as f64;
            let cpu = status.cpu_ticks as f64 / ticks;
            encoder
                .encode_descriptor(
                    "cpu",
                    "Processor time that the process has used.",
                    Some(&Unit::Seconds),
                    MetricType::Counter,
                )?
                .encode_counter::<NoLabelSet, f64, f64>(&cpu, None)?;
            if let Some(system_start) = system_start() {
                let start = system_start as f64 + status.start_ticks as f64 / ticks;
                let help = "When the process started, since 1970-01-01";
                gauge(encoder, "start_time", help, Some(&Unit::Seconds), start)?;
            }
            let resident = status.resident_pages * page_size() as u64;
            let help = "Memory of the process that is in use";
            gauge(
                encoder,
                "resident_memory",
                help,
                Some(&Unit::Bytes),
                resident as f64,
            )?;
            let help = "Address space of the process";
            let virtual_memory = status.virtual_bytes as f64;
            gauge(
                encoder,
                "virtual_memory",
                help,
                Some(&Unit::Bytes),
                virtual_memory,
            )?;
            let help = "Threads of the process";
            gauge(encoder, "threads", help, None, status.threads as f64)?;
        }
        if let Some(open) = open_files() {
            let help = "Files that the process has open, its sockets included";
            gauge(encoder, "open_fds", help, None, open as f64)?;
        }
        if let Some(most) = crate::context::max_open_files() {
            let help = "Files that the process may have open";
            gauge(encoder, "max_fds", help, None, most as f64)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: f64,
) -> fmt::Result {
    encoder
        .encode_descriptor(name, &format!("{help}."), unit, MetricType::Gauge)?
        .encode_gauge(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_a_name_with_blanks_and_parentheses() {
        let text = "7 (a) (b c) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 0 0 20 0 5 0 99 4096 25 18446744073709551615";
        let expected = Status {
            cpu_ticks: 15,
            threads: 5,
            start_ticks: 99,
            virtual_bytes: 4096,
            resident_pages: 25,
        };
        assert_eq!(Status::parse(text), Some(expected));
        assert_eq!(Status::parse("7 (a) S 1"), None);
    }
}
