//! The servers that are compared, as processes.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::nginx;

/// A server that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// With the defaults of its command line: every protection on.
    Callgate,
    /// With hyper's defaults.
    Hyper,
    /// With the responses to pipelined requests leaving together.
    HyperFlush,
    Axum,
    Actix,
    Nginx,
    /// With a read buffer of 16 KB. The library zeroes the buffer before each read, and the default of
    /// 128 KB would flatter Callgate.
    Tungstenite,
    /// With the defaults of tokio-tungstenite.
    TungsteniteDefault,
}

impl Server {
    pub(crate) const ALL: [Self; 8] = [
        Self::Callgate,
        Self::Hyper,
        Self::HyperFlush,
        Self::Axum,
        Self::Actix,
        Self::Nginx,
        Self::Tungstenite,
        Self::TungsteniteDefault,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Callgate => "Callgate",
            Self::Hyper => "bare hyper",
            Self::HyperFlush => "bare hyper, pipeline flush",
            Self::Axum => "axum",
            Self::Actix => "actix-web",
            Self::Nginx => "nginx",
            Self::Tungstenite => "bare tokio-tungstenite",
            Self::TungsteniteDefault => "the same, 128 KB buffer",
        }
    }

    /// Returns whether the program of this server is here.
    pub(crate) fn is_available(self) -> bool {
        self != Self::Nginx || nginx::version().is_some()
    }

    /// Returns the arguments of `bench-server`.
    fn arguments(self, place: &Place) -> Vec<String> {
        let words = match self {
            Self::Callgate => {
                // The idle time-out of 5 s would close connections whose memory is measured.
                let flags =
                    "callgate --threads 1 --timeout-keep-alive 75 --no-access-log --directory";
                let mut words: Vec<_> = flags.split(' ').map(str::to_owned).collect();
                words.push(place.files().display().to_string());
                return words;
            }
            Self::Hyper => "hyper",
            Self::HyperFlush => "hyper --pipeline-flush",
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::Tungstenite => "tungstenite --read-buffer 16384",
            Self::TungsteniteDefault => "tungstenite",
            Self::Nginx => unreachable!("nginx is a program of its own"),
        };
        words.split(' ').map(str::to_owned).collect()
    }
}

/// Where the servers run.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where `bench-server` is.
    pub(crate) programs: PathBuf,
    /// Where temporary files are written.
    pub(crate) directory: PathBuf,
    /// The core of the servers, if processes can be bound to cores.
    pub(crate) core: Option<&'static str>,
}

impl Place {
    /// Returns the directory of the files that are sent.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }
}

/// A server process, which is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    http1: SocketAddr,
    http2: SocketAddr,
    /// Reads what the process writes, so that the pipe does not fill.
    output: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `server` on one thread.
    pub(crate) fn start(server: Server, place: &Place) -> io::Result<Self> {
        if server == Server::Nginx {
            return Self::start_nginx(place);
        }
        Self::start_under(&[], server, place)
    }

    /// Starts `server`, which is not nginx, under a tool: a program and its arguments.
    pub(crate) fn start_under(tool: &[&str], server: Server, place: &Place) -> io::Result<Self> {
        let mut words: Vec<_> = tool.iter().copied().map(str::to_owned).collect();
        let program = place.programs.join("bench-server");
        words.push(program.display().to_string());
        words.extend(server.arguments(place));
        words.extend(["--port".to_owned(), "0".to_owned()]);
        Self::start_program(server.name(), &words, &[], place)
    }

    /// Starts a program that writes its URL on standard error when it listens. `environment` is added to that
    /// of this process.
    pub(crate) fn start_program(
        name: &str,
        words: &[String],
        environment: &[(&str, &str)],
        place: &Place,
    ) -> io::Result<Self> {
        let mut child = spawn(words, environment, Stdio::piped(), place.core)?;
        let mut output = BufReader::new(child.stderr.take().expect("piped"));
        let mut before = String::new();
        let address = loop {
            let mut line = String::new();
            let is_end = output.read_line(&mut line)? == 0;
            if let Some(address) = address(&line) {
                break Ok(address);
            }
            before += &line;
            if is_end {
                let reason = format!("{name} did not start: {before}");
                break Err(io::Error::other(reason));
            }
        };
        let output = thread::spawn(move || {
            let mut text = String::new();
            // Output that is not text is of no interest.
            let _ = output.read_to_string(&mut text);
            text
        });
        // The value that is created here ends the process when it is dropped.
        let mut running = Self {
            child,
            http1: SocketAddr::from(([127, 0, 0, 1], 0)),
            http2: SocketAddr::from(([127, 0, 0, 1], 0)),
            output: Some(output),
        };
        running.http1 = address?;
        running.http2 = running.http1;
        Ok(running)
    }

    fn start_nginx(place: &Place) -> io::Result<Self> {
        let configured = nginx::configure(place)?;
        let words = [
            "nginx".to_owned(),
            "-p".to_owned(),
            place.directory.display().to_string(),
            "-c".to_owned(),
            configured.file.display().to_string(),
        ];
        let mut running = Self::start_quiet(&words, configured.http1, place.core)?;
        running.http2 = configured.http2;
        Ok(running)
    }

    /// Starts a program that listens on `address`, and whose output is of no interest: nginx, for example, writes of
    /// settings that a single process does not use.
    pub(crate) fn start_quiet(
        words: &[String],
        address: SocketAddr,
        core: Option<&str>,
    ) -> io::Result<Self> {
        let running = Self {
            child: spawn(words, &[], Stdio::null(), core)?,
            http1: address,
            http2: address,
            output: None,
        };
        wait_until_it_listens(address)?;
        Ok(running)
    }

    /// Returns the address for HTTP/1.1 and WebSockets.
    pub(crate) fn http1(&self) -> SocketAddr {
        self.http1
    }

    /// Returns the address for HTTP/2, which nginx serves on a port of its own.
    pub(crate) fn http2(&self) -> SocketAddr {
        self.http2
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

    /// Returns the resident memory of the server, in bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|value| value.trim().strip_suffix(" kB"))
            .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
            .map(|kilobytes| kilobytes * 1024)
            .ok_or_else(|| io::Error::other("the server has no VmRSS"))
    }

    /// Ends the server with SIGTERM, and returns what it, and a tool it runs under, wrote since its
    /// start.
    pub(crate) fn terminate(mut self) -> io::Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        let output = self.output.take().map(JoinHandle::join);
        Ok(output.and_then(Result::ok).unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    words: &[String],
    environment: &[(&str, &str)],
    errors: Stdio,
    core: Option<&str>,
) -> io::Result<Child> {
    let mut command = match core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", core]).args(words);
            command
        }
        None => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        }
    };
    command
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(|error| io::Error::other(format!("cannot start {}: {error}", words[0])))
}

/// Waits until a server listens on `address`.
fn wait_until_it_listens(address: SocketAddr) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > Duration::from_secs(5) => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Linux shows times in hundredths of a second, whatever its clock.
const MILLISECONDS_A_TICK: u64 = 10;

/// Returns the address in a line that has a URL.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split_whitespace().next()?.parse().ok()
}
