//! The results of the scenarios, as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

/// A measured value with its bound.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) bound: String,
    pub(crate) holds: bool,
}

/// The result of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) summary: String,
    pub(crate) measures: Vec<Measure>,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn new(name: &'static str, summary: impl Into<String>) -> Self {
        Self {
            name,
            summary: summary.into(),
            measures: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Adds a value without a bound.
    pub(crate) fn note(&mut self, name: &str, value: &impl ToString) {
        self.add(name, value.to_string(), String::new(), true);
    }

    /// Adds a number that must not be larger than its bound.
    pub(crate) fn at_most(&mut self, name: &str, value: u64, bound: u64) {
        self.add(
            name,
            value.to_string(),
            format!("<= {bound}"),
            value <= bound,
        );
    }

    /// Adds a number that must not be smaller than its bound.
    pub(crate) fn at_least(&mut self, name: &str, value: u64, bound: u64) {
        self.add(
            name,
            value.to_string(),
            format!(">= {bound}"),
            value >= bound,
        );
    }

    /// Adds memory in octets, shown in MB.
    pub(crate) fn memory(&mut self, name: &str, value: u64, bound: u64) {
        let shown = |octets: u64| format!("{:.1} MB", octets as f64 / f64::from(1 << 20));
        self.add(
            name,
            shown(value),
            format!("<= {}", shown(bound)),
            value <= bound,
        );
    }

    /// Adds a time.
    pub(crate) fn time(&mut self, name: &str, value: Duration, bound: Duration) {
        let holds = value <= bound;
        self.add(name, format!("{value:.1?}"), format!("<= {bound:?}"), holds);
    }

    fn add(&mut self, name: &str, value: String, bound: String, holds: bool) {
        self.measures.push(Measure {
            name: name.to_owned(),
            value,
            bound,
            holds,
        });
    }

    pub(crate) fn holds(&self) -> bool {
        self.measures.iter().all(|measure| measure.holds)
    }
}

/// A file with results.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: &'static str,
    head: &'static str,
    /// The scenarios, if these are not all that no other document has.
    scenarios: &'static [&'static str],
}

/// All documents.
pub(crate) const DOCUMENTS: [Document; 2] = [
    Document {
        path: "server/RELIABILITY.md",
        head: SERVER_HEAD,
        scenarios: &[],
    },
    Document {
        path: "channels/RELIABILITY.md",
        head: CHANNELS_HEAD,
        scenarios: CHANNELS,
    },
];

const CHANNELS: &[&str] = &["channels"];

const SERVER_HEAD: &str = "\
# Reliability

`cargo xtask soak` writes this file.

The server is a process on the same machine, and the clients of each scenario load it over loopback. Each scenario begins with a new
process and ends it with SIGTERM. Memory is resident memory, read from the system while the scenario runs. A probe makes one
well-behaved request after another meanwhile; its times are those of the whole request, on a machine that the clients share. An MB is
1,048,576 octets.

Each bound stands in the source of its scenario, and follows from the limits of the server and not from a measurement: the memory of a
flood is what the limits allow a connection, times the connections, and 16 MB for the process.

";

const CHANNELS_HEAD: &str = "\
# Reliability of the channel layer

`cargo xtask soak --only channels` writes this file.

Three processes of the reference server, the Redis and all clients are on one machine. The clients see only what the WebSockets
bring: numbers, messages and gaps. Memory is resident memory, at its peak. An MB is 1,048,576 octets.

Each bound stands in the source of the scenario, and follows from the limits of the server and of the layer and not from a measurement. The
memory of a process is what the limits allow a WebSocket, times the WebSockets, the histories of all groups, and 16 MB.

";

impl Document {
    /// Returns whether a scenario is in the document.
    pub(crate) fn has(&self, scenario: &str) -> bool {
        match self.scenarios {
            [] => !CHANNELS.contains(&scenario),
            all => all.contains(&scenario),
        }
    }

    /// Returns the document.
    pub(crate) fn write(&self, outcomes: &[&Outcome], connections: usize) -> String {
        let mut text = String::from(self.head);
        for (name, value) in machine() {
            line(&mut text, format_args!("- {name}: {value}"));
        }
        if self.scenarios.is_empty() {
            let name = "connections of a flood";
            line(&mut text, format_args!("- {name}: {connections}"));
        }
        write_outcomes(&mut text, outcomes);
        text
    }
}

fn write_outcomes(text: &mut String, outcomes: &[&Outcome]) {
    for outcome in outcomes {
        line(text, format_args!("\n## {}\n", outcome.name));
        line(text, format_args!("{}\n", outcome.summary));
        *text += "| value | measured | bound | holds |\n| --- | --- | --- | --- |\n";
        for measure in &outcome.measures {
            let holds = match (measure.bound.is_empty(), measure.holds) {
                (true, _) => "",
                (_, true) => "yes",
                (_, false) => "**no**",
            };
            line(
                text,
                format_args!(
                    "| {} | {} | {} | {holds} |",
                    measure.name, measure.value, measure.bound
                ),
            );
        }
        line(text, format_args!("\nIt took {:.0?}.", outcome.took));
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes everything");
}

/// Returns the properties of the machine, each with its name.
fn machine() -> Vec<(&'static str, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpu
        .lines()
        .filter(|line| line.starts_with("model name"))
        .collect();
    let model = models.first().and_then(|line| line.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    vec![
        ("processor", model.map_or("unknown", |it| it.1).to_owned()),
        ("cores", models.len().to_string()),
        ("Linux", kernel.trim().to_owned()),
        ("build", build.to_owned()),
    ]
}
