//! The machine and the versions that belong to the results.

use std::fs;
use std::process::Command;

use crate::{count, nginx};

/// Returns the properties of the machine, each with its name.
pub(crate) fn machine() -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let (model, cores) = processors().unwrap_or_else(|| (unknown(), 0));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    vec![
        ("processor", model),
        ("cores", cores.to_string()),
        (
            "Linux",
            kernel.map_or_else(|_| unknown(), |kernel| kernel.trim().to_owned()),
        ),
        ("rustc", rustc().unwrap_or_else(unknown)),
        ("tokio", locked("tokio").unwrap_or_else(unknown)),
    ]
}

/// Returns the properties of the machine and of what runs on it, each with its name.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let mut lines = machine();
    for package in ["hyper", "axum", "actix-web", "tokio-tungstenite"] {
        lines.push((package, locked(package).unwrap_or_else(|| "unknown".into())));
    }
    lines.push((
        "nginx",
        nginx::version().unwrap_or_else(|| "not installed".into()),
    ));
    lines.push((
        "valgrind",
        count::version().unwrap_or_else(|| "not installed".into()),
    ));
    lines
}

/// Returns how many tasks have run or waited for a processor on average over the last minute, or `unknown`.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.map_or_else(|| "unknown".to_owned(), str::to_owned)
}

/// Returns the list of all cores, as `taskset` takes it.
pub(crate) fn all_cores() -> String {
    let count = processors().map_or(1, |(_, count)| count);
    format!("0-{}", count - 1)
}

/// Returns the model of the processors, and their number, whichever this process may use.
fn processors() -> Option<(String, usize)> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut models = text.lines().filter(|line| line.starts_with("model name"));
    let (_, model) = models.next()?.split_once(':')?;
    Some((model.trim().to_owned(), models.count() + 1))
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// Returns the newest version of a package in the lock file, which lists versions in order.
fn locked(package: &str) -> Option<String> {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, rest) = lock.rsplit_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next().map(str::to_owned)
}
