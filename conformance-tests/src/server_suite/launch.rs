//! Servers under test: how they are started, and how they are stopped.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::probe::PROBE_VARIABLE;

/// Starts servers that serve the probe.
pub trait Launch {
    /// What is started, for the report.
    fn name(&self) -> String;

    /// Where the suite must listen for the probe; any free address if none.
    fn probe_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Starts a server with these settings whose probe reaches the suite at `suite`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn launch(
        &self,
        settings: &Settings,
        suite: SocketAddr,
    ) -> Result<Box<dyn Running>, NotLaunched>;
}

/// Why a server was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotLaunched {
    /// It cannot be started like this: what it lacks.
    NotSupported(String),
    /// It should have started.
    Failed(io::Error),
}

impl From<io::Error> for NotLaunched {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A server that has been started. Dropping it ends it at once.
pub trait Running: Send {
    /// Where it listens, or will.
    fn address(&self) -> SocketAddr;

    /// Tells it to shut down, as SIGTERM does.
    fn stop(&mut self);

    /// What it has written to its log so far.
    fn log(&self) -> String;

    /// Waits until it has ended.
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>>;

    /// Whether it is one that the suite must not stop.
    fn is_foreign(&self) -> bool {
        false
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit status; none when a signal ended it.
    pub status: Option<i32>,
}

impl Exit {
    /// With this exit status.
    #[must_use]
    pub fn with_status(status: Option<i32>) -> Self {
        Self { status }
    }
}

/// What a case needs the server to be set to. The names are those of the flags, which are uvicorn's
/// wherever the meaning is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where the application is mounted.
    pub root_path: Option<String>,
    /// Whether lifespan is required, left out, or as the application wants.
    pub lifespan: Lifespan,
    /// The largest message that a client may send, in bytes.
    pub ws_max_size: Option<usize>,
    /// How often the server sends a ping.
    pub ws_ping_interval: Option<Duration>,
    /// How long it waits for the answer.
    pub ws_ping_timeout: Option<Duration>,
    /// How long a shutdown may take.
    pub timeout_graceful_shutdown: Option<Duration>,
    /// How long an application may go on after its client is gone.
    pub timeout_disconnect: Option<Duration>,
}

/// Whether a server calls the application for its lifespan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifespan {
    /// It does, and goes on without when the application declines.
    #[default]
    Auto,
    /// It does, and does not start when the application declines.
    On,
    /// It does not.
    Off,
}

impl Settings {
    /// The flags that set a server to these, where they differ from its defaults.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let lifespan = match self.lifespan {
            Lifespan::Auto => None,
            Lifespan::On => Some("on".to_owned()),
            Lifespan::Off => Some("off".to_owned()),
        };
        [
            ("--root-path", self.root_path.clone()),
            ("--lifespan", lifespan),
            (
                "--ws-max-size",
                self.ws_max_size.map(|size| size.to_string()),
            ),
            ("--ws-ping-interval", self.ws_ping_interval.map(seconds)),
            ("--ws-ping-timeout", self.ws_ping_timeout.map(seconds)),
            (
                "--timeout-graceful-shutdown",
                self.timeout_graceful_shutdown.map(seconds),
            ),
            ("--timeout-disconnect", self.timeout_disconnect.map(seconds)),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some([flag.to_owned(), value?]))
        .flatten()
        .collect()
    }
}

/// A server started by a command line.
#[derive(Clone, Debug)]
pub struct CommandLine {
    command: String,
}

impl CommandLine {
    /// The command that starts a server on the loopback interface. In it `{port}` stands for the
    /// port to listen on, and `{flags}` for the flags of [`Settings`]; without `{flags}`, what needs
    /// them is not checked. The shell runs it, with [`PROBE_VARIABLE`] in its environment.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
        }
    }
}

impl Launch for CommandLine {
    fn name(&self) -> String {
        self.command.clone()
    }

    fn launch(
        &self,
        settings: &Settings,
        suite: SocketAddr,
    ) -> Result<Box<dyn Running>, NotLaunched> {
        let flags = settings.flags().join(" ");
        if !flags.is_empty() && !self.command.contains("{flags}") {
            return Err(NotLaunched::NotSupported(format!(
                "it needs the flags `{flags}`, and the command has no `{{flags}}`"
            )));
        }
        let address = free_address()?;
        let command = self
            .command
            .replace("{port}", &address.port().to_string())
            .replace("{flags}", &flags);
        let mut child = Command::new("sh")
            .arg("-c")
            // In place of the shell, so that it is the server that gets the signals.
            .arg(format!("exec {command}"))
            .env(PROBE_VARIABLE, suite.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = Arc::default();
        keep_lines(child.stdout.take().expect("piped"), &log);
        keep_lines(child.stderr.take().expect("piped"), &log);
        Ok(Box::new(Process {
            child,
            address,
            log,
        }))
    }
}

/// A port that nobody listens on.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn keep_lines(output: impl AsyncRead + Unpin + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = log.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut log = log.lock().expect("never held across a panic");
            log.push_str(&line);
            log.push('\n');
        }
    });
}

struct Process {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Running for Process {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn stop(&mut self) {
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = process.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(process, Signal::TERM);
        }
    }

    fn log(&self) -> String {
        self.log.lock().expect("never held across a panic").clone()
    }

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>> {
        Box::pin(async {
            let status = self.child.wait().await.ok();
            Exit::with_status(status.and_then(|status| status.code()))
        })
    }
}

/// A server that runs already, and whose probe reaches the suite at a known address.
#[derive(Clone, Debug)]
pub struct Attach {
    address: SocketAddr,
    probe: SocketAddr,
}

impl Attach {
    /// The server at `address`, whose probe was given `probe` in [`PROBE_VARIABLE`].
    #[must_use]
    pub fn new(address: SocketAddr, probe: SocketAddr) -> Self {
        Self { address, probe }
    }
}

impl Launch for Attach {
    fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    fn probe_address(&self) -> Option<SocketAddr> {
        Some(self.probe)
    }

    fn launch(&self, settings: &Settings, _: SocketAddr) -> Result<Box<dyn Running>, NotLaunched> {
        if *settings != Settings::default() {
            return Err(NotLaunched::NotSupported(
                "a server that runs already cannot be set".into(),
            ));
        }
        Ok(Box::new(Attached(self.address)))
    }
}

struct Attached(SocketAddr);

impl Running for Attached {
    fn address(&self) -> SocketAddr {
        self.0
    }

    fn stop(&mut self) {}

    fn log(&self) -> String {
        String::new()
    }

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>> {
        Box::pin(std::future::pending())
    }

    fn is_foreign(&self) -> bool {
        true
    }
}
