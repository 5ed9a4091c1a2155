//! The settings of a server, from its command line.

mod flags;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use callgate_server::config::{LogFormat, LogTime};
use callgate_server::{Config, LifespanMode};
use pyo3::exceptions::{PySystemExit, PyValueError};
use pyo3::prelude::*;
use tracing::level_filters::LevelFilter;

pub(crate) use self::flags::Checks;
use self::flags::{Arguments, PythonFlags, command};
use crate::asgi::Offer;

/// The name of an application that is an object of the program, which other processes do not have.
const OBJECT: &str = "-";

/// Returns a command line with the name of the program.
fn with_program(arguments: Vec<OsString>) -> Vec<OsString> {
    std::iter::once("callgate".into())
        .chain(arguments)
        .collect()
}

/// What a command line asks for.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(crate) struct Settings {
    app: String,
    python: PythonFlags,
    /// `None` once a worker has them.
    checks: Mutex<Option<Checks>>,
    config: Config,
}

impl Settings {
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer {
            needs_lifespan: self.config.process.lifespan == LifespanMode::On,
            has_http_shutdown: self.python.has_http_shutdown(),
            shows_exceptions: true,
        }
    }

    /// Returns what is wrong with settings that an application in Python cannot have.
    fn refused(&self, checks: &Checks) -> Option<&'static str> {
        if self.config.process.threads.is_some() {
            return Some(
                "an application in Python is served by one thread a process: give --workers in place of --threads",
            );
        }
        if self.config.log.format != LogFormat::Text || self.config.log.time != LogTime::Utc {
            return Some(
                "the form of the log is that of Python's logging: give --log-config in place of --log-format and --log-time",
            );
        }
        match self.is_supervised() {
            true => checks.not_for_processes(self.workers() > 1),
            false => None,
        }
    }

    fn of(arguments: Arguments) -> Result<Self, &'static str> {
        let Arguments {
            app,
            python,
            checks,
            server,
        } = arguments;
        let settings = Self {
            app,
            python,
            checks: Mutex::new(None),
            config: server.into_config(),
        };
        if let Some(reason) = settings.refused(&checks) {
            return Err(reason);
        }
        *settings.checks.lock().expect("no panic under this lock") = Some(checks);
        Ok(settings)
    }

    pub(crate) fn take_checks(&self) -> Option<Checks> {
        self.checks.lock().expect("no panic under this lock").take()
    }
}

#[pymethods]
impl Settings {
    /// Reads a command line without the name of the program. Exits as command lines do if it is wrong, or asks for help.
    #[new]
    fn new(arguments: Vec<OsString>) -> PyResult<Self> {
        match callgate_cli::read::<Arguments>(&command(), &with_program(arguments)) {
            Ok(arguments) => Self::of(arguments).map_err(|reason| {
                callgate_cli::fail(callgate_cli::USAGE, reason);
                PySystemExit::new_err(callgate_cli::USAGE)
            }),
            // An exit code tells nothing but whether it is that of success.
            Err(status) if status == ExitCode::SUCCESS => Err(PySystemExit::new_err(0)),
            Err(_) => Err(PySystemExit::new_err(callgate_cli::USAGE)),
        }
    }

    /// Reads the settings of an application that is an object, as flags. Raises `ValueError` if they are wrong.
    #[staticmethod]
    fn of_program(mut arguments: Vec<OsString>) -> PyResult<Self> {
        arguments.insert(0, OBJECT.into());
        callgate_cli::try_read(&command(), &with_program(arguments))
            .map_err(|error| PyValueError::new_err(error.to_string()))
            .and_then(|arguments| Self::of(arguments).map_err(PyValueError::new_err))
    }

    /// Returns how messages name an option.
    #[staticmethod]
    fn option(name: &str) -> String {
        format!("--{name}")
    }

    #[getter]
    fn app(&self) -> &str {
        &self.app
    }

    #[getter]
    fn factory(&self) -> bool {
        self.python.is_factory()
    }

    /// Returns whether the log has colours. Unless a flag decides, it has on a terminal.
    fn has_colours(&self, is_terminal: bool) -> bool {
        let decided = self.python.has_colours();
        decided.unwrap_or_else(|| is_terminal && callgate_cli::permits_colour())
    }

    #[getter]
    fn app_dir(&self) -> PathBuf {
        self.python.app_dir.clone()
    }

    #[getter]
    fn interface(&self) -> &str {
        &self.python.interface
    }

    #[getter]
    fn wsgi_threads(&self) -> usize {
        self.python.wsgi_threads.get()
    }

    #[getter]
    fn event_loop(&self) -> &str {
        &self.python.event_loop
    }

    #[getter]
    fn gc(&self) -> &str {
        &self.python.gc
    }

    #[getter]
    fn workers(&self) -> usize {
        self.python.workers.get()
    }

    #[getter]
    fn timeout_worker_healthcheck(&self) -> f64 {
        // A debugger may hold the event loop up during development.
        let default = if self.reload() { 0.0 } else { 30.0 };
        self.python.timeout_worker_healthcheck.unwrap_or(default)
    }

    /// The longest time in seconds that a process which is to replace this one may take to start; `None` for no limit.
    #[getter]
    fn timeout_upgrade(&self) -> Option<f64> {
        let limit = self.config.timeouts.upgrade;
        limit.map(|limit| limit.as_secs_f64())
    }

    #[getter]
    fn reload(&self) -> bool {
        self.config.process.reload
    }

    /// The folders that `--reload` watches: that of the application, unless others are given.
    #[getter]
    fn reload_dirs(&self) -> Vec<PathBuf> {
        match self.config.process.reload_dir.as_slice() {
            [] => vec![self.python.app_dir.clone()],
            given => given.to_vec(),
        }
    }

    #[getter]
    fn reload_include(&self) -> Vec<String> {
        self.python.reload_include.clone()
    }

    #[getter]
    fn reload_exclude(&self) -> Vec<String> {
        self.python.reload_exclude.clone()
    }

    #[getter]
    fn env_file(&self) -> Option<PathBuf> {
        self.python.env_file.clone()
    }

    #[getter]
    fn log_config(&self) -> Option<PathBuf> {
        self.python.log_config.clone()
    }

    #[getter]
    fn pid(&self) -> Option<PathBuf> {
        self.config.process.pid.clone()
    }

    #[getter]
    fn log_file(&self) -> Option<PathBuf> {
        self.config.log.file.clone()
    }

    /// Whether a supervisor starts the workers: with more than one worker, with a limit after which a worker is replaced, and
    /// with `--reload`.
    #[getter]
    fn is_supervised(&self) -> bool {
        let process = &self.config.process;
        let retires = process.limit_max_requests.is_some() || process.limit_max_age.is_some();
        self.app != OBJECT && (self.workers() > 1 || self.reload() || retires)
    }

    /// The level of the log, as a number of `logging`.
    #[getter]
    fn log_level(&self) -> u8 {
        let of_all = self
            .config
            .log
            .level
            .iter()
            .rev()
            .find(|level| level.target.is_none());
        match of_all.map_or(LevelFilter::INFO, |level| level.level) {
            LevelFilter::OFF => 60,
            LevelFilter::ERROR => 40,
            LevelFilter::WARN => 30,
            LevelFilter::INFO => 20,
            _ => 10,
        }
    }
}
