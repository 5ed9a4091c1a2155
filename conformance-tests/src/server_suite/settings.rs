//! The settings of a server that cases need.

use std::path::PathBuf;
use std::time::Duration;

/// The settings that a case needs a server to have. The names are those of the flags, which are
/// uvicorn's wherever the meaning is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// The path that the application is mounted at.
    pub root_path: Option<String>,
    /// The mode of lifespan.
    pub lifespan: LifespanMode,
    /// The largest WebSocket message that a client may send, in bytes.
    pub ws_max_size: Option<usize>,
    /// The interval of the server's WebSocket pings.
    pub ws_ping_interval: Option<Duration>,
    /// The time that a client has to answer a ping.
    pub ws_ping_timeout: Option<Duration>,
    /// The time that a shutdown may take.
    pub timeout_graceful_shutdown: Option<Duration>,
    /// The time that an application may go on after its client has disconnected.
    pub timeout_disconnect: Option<Duration>,
    /// The file with the server's certificate, as PEM.
    pub ssl_certfile: Option<PathBuf>,
    /// The file with the private key of this certificate, as PEM.
    pub ssl_keyfile: Option<PathBuf>,
    /// The file with the authority that issues client certificates, as PEM.
    pub ssl_ca_certs: Option<PathBuf>,
    /// Whether the server asks clients for a certificate, as in uvicorn: 1 admits clients without one.
    pub ssl_cert_reqs: Option<u8>,
}

/// The modes of lifespan: whether a server calls the application for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifespanMode {
    /// The server calls the application, and serves without lifespan when the application declines.
    #[default]
    Auto,
    /// The server calls the application, and does not start when the application declines.
    On,
    /// The server does not call the application for its lifespan.
    Off,
}

impl ServerSettings {
    /// Returns the names of all settings: those of their flags, without `--`.
    #[cfg(feature = "cli")]
    pub(crate) fn names() -> impl Iterator<Item = String> {
        let everything = Self {
            root_path: Some(String::new()),
            lifespan: LifespanMode::On,
            ws_max_size: Some(0),
            ws_ping_interval: Some(Duration::ZERO),
            ws_ping_timeout: Some(Duration::ZERO),
            timeout_graceful_shutdown: Some(Duration::ZERO),
            timeout_disconnect: Some(Duration::ZERO),
            ssl_certfile: Some(PathBuf::new()),
            ssl_keyfile: Some(PathBuf::new()),
            ssl_ca_certs: Some(PathBuf::new()),
            ssl_cert_reqs: Some(1),
        };
        let flags = everything.flags().into_iter().step_by(2);
        flags.map(|flag| flag.trim_start_matches('-').to_owned())
    }

    /// Returns the flags that set a server to these settings, where they differ from the defaults.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let path = |path: &PathBuf| path.display().to_string();
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let lifespan = match self.lifespan {
            LifespanMode::Auto => None,
            LifespanMode::On => Some("on".to_owned()),
            LifespanMode::Off => Some("off".to_owned()),
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
            ("--ssl-certfile", self.ssl_certfile.as_ref().map(path)),
            ("--ssl-keyfile", self.ssl_keyfile.as_ref().map(path)),
            ("--ssl-ca-certs", self.ssl_ca_certs.as_ref().map(path)),
            (
                "--ssl-cert-reqs",
                self.ssl_cert_reqs.map(|mode| mode.to_string()),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some([flag.to_owned(), value?]))
        .flatten()
        .collect()
    }
}
