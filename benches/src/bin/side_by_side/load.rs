//! The loads, which wrk and h2load produce.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server::{Contender, Running};

/// A way to load a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// 32 connections, each with one request at a time.
    Plain,
    /// 32 connections, each with 16 requests at a time.
    Pipelined,
    /// 8 connections over HTTP/2, each with 16 streams at a time.
    Http2,
}

/// The result of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Pipelined, Self::Http2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Pipelined => "pipelined",
            Self::Http2 => "h2",
        }
    }

    /// Returns the contenders. The others are compared with the first.
    pub(crate) fn contenders(self) -> &'static [Contender] {
        match self {
            Self::Plain | Self::Http2 => &[Contender::BareHyper, Contender::Callgate],
            // Without the flag, hyper writes each answer by itself. Nearly all of the time is then
            // spent in the system, which would flatter Callgate.
            Self::Pipelined => &[
                Contender::BareHyperFlushing,
                Contender::BareHyper,
                Contender::Callgate,
            ],
        }
    }

    /// Returns the goal of Callgate, as ratios to the first contender.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Plain => "requests/s >= 0.97, CPU <= 1.08",
            Self::Pipelined => "requests/s >= 0.75",
            Self::Http2 => "requests/s >= 0.90",
        }
    }

    /// Loads `server` for this time.
    ///
    /// # Errors
    ///
    /// A client that cannot be run, or a request that was not answered with success.
    pub(crate) fn run(self, server: &Running, time: Duration) -> io::Result<Outcome> {
        let url = format!("http://{}/", server.address());
        let seconds = time.as_secs();
        match self {
            Self::Plain => wrk(&url, seconds, None),
            Self::Pipelined => wrk(&url, seconds, Some(pipelining_script()?)),
            Self::Http2 => h2load(&url, seconds),
        }
    }
}

fn wrk(url: &str, seconds: u64, script: Option<PathBuf>) -> io::Result<Outcome> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", "32", "--duration"]);
    command.arg(format!("{seconds}s"));
    if let Some(script) = script {
        command.arg("--script").arg(script);
    }
    let output = output_of(command.arg(url))?;
    if output.contains("Non-2xx") || output.contains("Socket errors") {
        return Err(io::Error::other(format!("requests failed:\n{output}")));
    }
    let requests = word_before(&output, " requests in ").and_then(|word| word.parse().ok());
    let per_second = output
        .split_once("Requests/sec:")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    outcome(requests, per_second, &output)
}

fn h2load(url: &str, seconds: u64) -> io::Result<Outcome> {
    let mut command = Command::new("h2load");
    command.args(["--clients", "8", "--max-concurrent-streams", "16"]);
    command.args(["--threads", "1", "--duration", &seconds.to_string(), url]);
    let output = output_of(&mut command)?;
    if !output.contains(" 0 failed, 0 errored, 0 timeout") {
        return Err(io::Error::other(format!("requests failed:\n{output}")));
    }
    let requests = word_before(&output, " succeeded").and_then(|word| word.parse().ok());
    let per_second = word_before(&output, " req/s").and_then(|word| word.parse().ok());
    outcome(requests, per_second, &output)
}

fn output_of(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        let program = command.get_program().display();
        io::Error::other(format!(
            "cannot run {program}: {error} (`cargo xtask bench` installs it)"
        ))
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{text}{errors}")))
    }
}

fn word_before<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    text.split_once(what)?.0.split_whitespace().next_back()
}

fn outcome(requests: Option<u64>, per_second: Option<f64>, output: &str) -> io::Result<Outcome> {
    match (requests, per_second) {
        (Some(requests), Some(per_second)) if requests > 0 => Ok(Outcome {
            requests,
            per_second,
        }),
        _ => Err(io::Error::other(format!("no result in:\n{output}"))),
    }
}

/// A script that has wrk send 16 requests at a time. wrk counts each answer.
const PIPELINING: &str = "\
init = function(args)
  local requests = {}
  for i = 1, 16 do
    requests[i] = wrk.format()
  end
  batch = table.concat(requests)
end

request = function()
  return batch
end
";

/// Writes the script next to the programs, as wrk reads it from a file.
fn pipelining_script() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("pipelining.lua");
    std::fs::write(&path, PIPELINING)?;
    Ok(path)
}
