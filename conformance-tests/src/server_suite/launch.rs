//! Launchers, which start and stop servers under test.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use super::settings::ServerSettings;

/// Starts servers that serve the probe.
pub trait ServerLauncher {
    /// Returns the name of the server, for the report.
    fn name(&self) -> String;

    /// Returns the address where the suite must listen for the probe of a server that runs already;
    /// such a server is neither set nor stopped. None for a server that is started.
    fn probe_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Starts a server with these settings, whose probe connects to the suite at `suite`.
    ///
    /// # Errors
    ///
    /// The server was not started: see [`LaunchError`].
    fn launch(
        &self,
        settings: &ServerSettings,
        suite: SocketAddr,
    ) -> Result<Box<dyn RunningServer>, LaunchError>;
}

/// The reason why a server was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaunchError {
    /// The server lacks these settings.
    NotSupported(String),
    /// The server should have started.
    Failed(io::Error),
}

impl From<io::Error> for LaunchError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A server that was started. Dropping it ends the server at once.
pub trait RunningServer: Send {
    /// Returns the address at which the server listens once its start-up is complete.
    fn address(&self) -> SocketAddr;

    /// Tells the server to shut down, as SIGTERM does.
    fn stop(&mut self);

    /// Returns the log of the server so far.
    fn log(&self) -> String;

    /// Waits until the server has ended and its log is complete.
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = ServerExit> + '_>>;

    /// Returns whether the server ran before the suite came, and must not be stopped.
    fn is_attached(&self) -> bool {
        false
    }
}

/// The way in which a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerExit {
    /// The exit status; none when a signal ended the server.
    pub status: Option<i32>,
}

impl ServerExit {
    /// Creates the exit with this status.
    #[must_use]
    pub const fn with_status(status: Option<i32>) -> Self {
        Self { status }
    }
}

impl fmt::Display for ServerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "the server ended with status {status}"),
            None => f.write_str("a signal ended the server"),
        }
    }
}
