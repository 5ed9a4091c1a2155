//! The servers that are compared, as processes.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A server that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// With hyper's defaults.
    BareHyper,
    /// With the answers to pipelined requests leaving together.
    BareHyperFlushing,
    /// With the defaults of its command line: every protection on.
    Callgate,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BareHyper => "bare hyper",
            Self::BareHyperFlushing => "bare hyper, pipeline flush",
            Self::Callgate => "callgate",
        }
    }

    /// Returns the program, and its arguments for serving `app`.
    fn command(self, app: &str) -> (&'static str, Vec<&str>) {
        match self {
            Self::BareHyper => ("bare-hyper", vec![]),
            Self::BareHyperFlushing => ("bare-hyper", vec!["--pipeline-flush"]),
            Self::Callgate => ("callgate", vec!["run", app]),
        }
    }
}

/// A server process, which is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    /// Starts the server on one thread and a free port. Only Callgate can serve other applications
    /// than `hello`.
    pub(crate) fn start(contender: Contender, app: &str) -> io::Result<Self> {
        let (program, args) = contender.command(app);
        let program = std::env::current_exe()?.with_file_name(program);
        let mut child = Command::new(&program)
            .args(args)
            .args(["--port", "0", "--threads", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let program = program.display();
                io::Error::other(format!(
                    "cannot start {program}: {error} (`cargo xtask bench` builds it)"
                ))
            })?;
        // Bare hyper prints its address on standard output, and Callgate on standard error.
        let output: Box<dyn Read + Send> = match contender {
            Contender::Callgate => Box::new(child.stderr.take().expect("piped")),
            _ => Box::new(child.stdout.take().expect("piped")),
        };
        // From here on the process is killed whatever happens.
        let mut running = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        running.address = address(&line).ok_or_else(|| {
            io::Error::other(format!("{} did not start: {line}", contender.name()))
        })?;
        // Further output of the server must not fill the pipe.
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Ok(running)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the CPU time that the server has taken so far, in user space and in the kernel.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in brackets, may have blanks inside.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * MILLISECONDS_A_TICK))
    }

    /// Returns the peak memory of the server, in bytes.
    pub(crate) fn peak_memory(&self) -> io::Result<u64> {
        self.memory("VmHWM:")
    }

    /// Returns the present memory of the server, in bytes.
    pub(crate) fn memory_now(&self) -> io::Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|value| value.trim().strip_suffix(" kB"))
            .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
            .map(|kilobytes| kilobytes * 1024)
            .ok_or_else(|| io::Error::other(format!("the server has no {field}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Linux shows times in hundredths of a second, whatever its clock.
const MILLISECONDS_A_TICK: u64 = 10;

/// Returns the address in a line that has a URL.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split_whitespace().next()?.parse().ok()
}
