//! Servers under test: how they are started, and how they are stopped.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

/// Starts servers that serve the probe.
pub trait Launch {
    /// What is started, for the report.
    fn name(&self) -> String;

    /// Where the suite must listen for the probe of a server that runs already, which is neither set
    /// nor stopped; none for a server that is started.
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

    /// Waits until it has ended. Its log is whole then.
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

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "it ended with status {status}"),
            None => f.write_str("a signal ended it"),
        }
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
    /// The names of all settings: those of their flags, without `--`.
    #[cfg(feature = "cli")]
    pub(crate) fn names() -> impl Iterator<Item = String> {
        let everything = Self {
            root_path: Some(String::new()),
            lifespan: Lifespan::On,
            ws_max_size: Some(0),
            ws_ping_interval: Some(Duration::ZERO),
            ws_ping_timeout: Some(Duration::ZERO),
            timeout_graceful_shutdown: Some(Duration::ZERO),
            timeout_disconnect: Some(Duration::ZERO),
        };
        let flags = everything.flags().into_iter().step_by(2);
        flags.map(|flag| flag.trim_start_matches('-').to_owned())
    }

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

/// A server that runs already, and whose probe reaches the suite at a known address.
#[derive(Clone, Debug)]
pub struct Attach {
    address: SocketAddr,
    probe: SocketAddr,
}

impl Attach {
    /// The server at `address`, whose probe was given `probe` in
    /// [`PROBE_VARIABLE`](crate::PROBE_VARIABLE).
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

    fn launch(&self, _: &Settings, _: SocketAddr) -> Result<Box<dyn Running>, NotLaunched> {
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
