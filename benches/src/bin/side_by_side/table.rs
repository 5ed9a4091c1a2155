//! The results as text.

use std::fmt::{self, Write as _};

use crate::idle::Kind;
use crate::load::Load;
use crate::server::Contender;

/// The median of all rounds, and the extremes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// # Panics
    ///
    /// Panics when `values` is empty.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self {
            median,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// The results of a contender under a load, absolute and relative to the load's first contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) load: Load,
    pub(crate) contender: Contender,
    pub(crate) per_second: Spread,
    /// Microseconds.
    pub(crate) cpu: Spread,
    /// Bytes.
    pub(crate) memory: Spread,
    pub(crate) per_second_ratio: Spread,
    pub(crate) cpu_ratio: Spread,
    pub(crate) memory_ratio: Spread,
}

const KIB: f64 = 1.0 / 1024.0;

pub(crate) fn loads(rows: &[Row]) -> String {
    let mut text = String::from("Medians over all rounds (min..max)\n\n");
    let mut line = |cells: [&str; 6]| {
        let [load, server, per_second, cpu, memory, target] = cells;
        let line =
            format!("{load:<10} {server:<27} {per_second:<24} {cpu:<20} {memory:<22} {target}");
        writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
    };
    line([
        "load",
        "server",
        "requests/s",
        "CPU us/request",
        "peak memory, MiB",
        "",
    ]);
    for row in rows {
        line([
            row.load.name(),
            row.contender.name(),
            &format!("{:.0}", row.per_second),
            &format!("{:.2}", row.cpu),
            &format!("{:.1}", row.memory.scaled(KIB * KIB)),
            "",
        ]);
        let first = row.load.contenders()[0];
        if row.contender != first {
            let is_callgate = row.contender == Contender::Callgate;
            line([
                "",
                "  ratio to the first",
                &format!("{:.2}", row.per_second_ratio),
                &format!("{:.2}", row.cpu_ratio),
                &format!("{:.2}", row.memory_ratio),
                &if is_callgate {
                    format!("target: {}", row.load.target())
                } else {
                    String::new()
                },
            ]);
        }
    }
    text
}

pub(crate) fn idle(lines: &[(Kind, Contender, Spread)]) -> String {
    let mut text = String::from("Memory of an idle connection, KB: median (min..max)\n\n");
    for (kind, contender, memory) in lines {
        let target = if *contender == Contender::Callgate {
            format!("target: {}", kind.target())
        } else {
            String::new()
        };
        let memory = format!("{:.1}", memory.scaled(KIB));
        let line = format!(
            "{:<10} {:<12} {memory:<20} {target}",
            kind.name(),
            contender.name()
        );
        writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
    }
    text
}
