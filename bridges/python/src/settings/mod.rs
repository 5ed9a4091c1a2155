//! The settings of a server, from its command line.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use callgate::BoxApp;
use callgate_cli::{AppWrapper as _, Start};
use callgate_conformance::CheckFlags;
use callgate_inspector::InspectFlags;
use callgate_server::cli::Flags;
use callgate_server::config::{LogFormat, LogTime};
use callgate_server::{Config, LifespanMode};
use clap::{Arg, ArgAction, Command, CommandFactory as _, Parser};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use tracing::level_filters::LevelFilter;

use crate::asgi::Offer;

/// Serves an application in Python over HTTP/1.1, HTTP/2 and WebSocket
#[derive(Debug, Parser)]
#[command(name = "callgate", version)]
#[command(mut_args(switch))]
#[command(mut_arg("threads", |arg| arg.hide(true)))]
#[command(mut_arg("log_format", |arg| arg.hide(true)))]
#[command(mut_arg("log_time", |arg| arg.hide(true)))]
#[command(mut_arg("reload", |arg| arg.help("Replace the workers when a file of the application changes, for development").long_help(None)))]
#[command(mut_arg("reload_dir", |arg| arg.help("With `--reload`, the folder to watch in place of that of the application; may be given repeatedly").long_help(None)))]
#[command(mut_arg("limit_max_requests", |arg| arg.help("Replace a worker after this many requests; `none` or 0 for never").long_help(None)))]
struct Arguments {
    /// The application: `module:attribute`
    #[arg(value_name = "MODULE:APP", env = "CALLGATE_APP")]
    app: String,
    #[command(flatten)]
    python: PythonFlags,
    #[command(flatten)]
    checks: Checks,
    #[command(flatten)]
    server: Flags,
}

/// The flags of Python that need no value.
const SWITCHES: [&str; 3] = ["factory", "http_shutdown", "use_colors"];

/// Has a flag that needs no value take `true` and `false` as well, as its variable does.
fn switch(arg: Arg) -> Arg {
    if !SWITCHES.contains(&arg.get_id().as_str()) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_name("BOOLEAN")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// The variables that platforms set for other servers of Python, and the flags that they stand for.
const VARIABLES_OF_PLATFORMS: [(&str, &str); 2] = [
    ("workers", "WEB_CONCURRENCY"),
    ("forwarded_allow_ips", "FORWARDED_ALLOW_IPS"),
];

/// Returns the command line, where these variables count unless ours are set.
fn command() -> Command {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    VARIABLES_OF_PLATFORMS
        .into_iter()
        .filter(|&(_, variable)| is_set(variable))
        .fold(Arguments::command(), |command, (flag, variable)| {
            command.mut_arg(flag, |arg| {
                let own = arg.get_env().and_then(|own| own.to_str());
                match own.is_some_and(is_set) {
                    true => arg,
                    false => arg.env(variable),
                }
            })
        })
}

/// Flags that put something around the application.
#[derive(Debug, clap::Args)]
pub(crate) struct Checks {
    #[command(flatten)]
    check: CheckFlags,
    #[command(flatten)]
    inspect: InspectFlags,
}

impl Checks {
    pub(crate) fn wrap(&mut self, app: BoxApp, start: Start) -> Result<BoxApp, String> {
        let app = self.check.wrap(app, start)?;
        self.inspect.wrap(app, start)
    }

    /// Ends what was put around the application.
    pub(crate) fn ended(&mut self) {
        self.check.ended();
        self.inspect.ended();
    }
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Python")]
struct PythonFlags {
    /// Call the attribute, without arguments, to get the application
    #[arg(long, env = "CALLGATE_FACTORY", default_value = "false")]
    factory: bool,
    /// Look for the module in this folder first
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        env = "CALLGATE_APP_DIR"
    )]
    app_dir: PathBuf,
    /// What the application is; `auto` looks at what it takes
    #[arg(long, value_name = "INTERFACE", default_value = "auto", value_parser = ["auto", "asgi3", "wsgi"], env = "CALLGATE_INTERFACE")]
    interface: String,
    /// The number of threads that run an application of WSGI
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "10",
        env = "CALLGATE_WSGI_THREADS"
    )]
    wsgi_threads: NonZeroUsize,
    /// The event loop; `auto` is uvloop where it is installed
    #[arg(long = "loop", value_name = "LOOP", default_value = "auto", value_parser = ["auto", "asyncio", "uvloop"], env = "CALLGATE_LOOP")]
    event_loop: String,
    /// How the collector of cycles runs: `tuned` leaves out what the start-up has made and runs less often; `python` changes nothing
    #[arg(long, value_name = "MODE", default_value = "tuned", value_parser = ["tuned", "python"], env = "CALLGATE_GC")]
    gc: String,
    /// Tell an application that streams by the event `http.shutdown`, which ASGI does not have, that the server shuts down
    #[arg(long, env = "CALLGATE_HTTP_SHUTDOWN", default_value = "false")]
    http_shutdown: bool,
    /// The number of processes that serve; `WEB_CONCURRENCY` counts too
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "1",
        env = "CALLGATE_WORKERS"
    )]
    workers: NonZeroUsize,
    /// The time in seconds after which a worker whose event loop makes no progress is replaced; 0 for never
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "30",
        env = "CALLGATE_TIMEOUT_WORKER_HEALTHCHECK"
    )]
    timeout_worker_healthcheck: f64,
    /// With `--reload`, replace the process when a file changes whose name is like this; may be given repeatedly
    #[arg(
        long,
        value_name = "PATTERN",
        default_value = "*.py",
        env = "CALLGATE_RELOAD_INCLUDE",
        value_delimiter = ','
    )]
    reload_include: Vec<String>,
    /// With `--reload`, ignore files whose name or path is like this; may be given repeatedly
    #[arg(
        long,
        value_name = "PATTERN",
        default_value = ".*",
        env = "CALLGATE_RELOAD_EXCLUDE",
        value_delimiter = ','
    )]
    reload_exclude: Vec<String>,
    /// Read environment variables for the application from this file
    #[arg(long, value_name = "FILE", env = "CALLGATE_ENV_FILE")]
    env_file: Option<PathBuf>,
    /// Show the levels of the log in colours, or do not (`--no-use-colors`); without either, on a terminal unless `NO_COLOR` is set
    #[arg(long, env = "CALLGATE_USE_COLORS", overrides_with = "no_use_colors")]
    use_colors: Option<bool>,
    #[arg(long, hide = true, overrides_with = "use_colors")]
    no_use_colors: bool,
    /// The configuration of `logging`: a file as JSON or YAML, or in the form of `logging.config.fileConfig`
    #[arg(long, value_name = "FILE", env = "CALLGATE_LOG_CONFIG")]
    log_config: Option<PathBuf>,
}

/// Returns what is wrong with settings that an application in Python cannot have.
fn not_for_python(config: &Config) -> Option<&'static str> {
    if config.process.threads.is_some() {
        return Some(
            "an application in Python is served by one thread a process: give --workers in place of --threads",
        );
    }
    if config.log.format != LogFormat::Text || config.log.time != LogTime::Utc {
        return Some(
            "the form of the log is that of Python's logging: give --log-config in place of --log-format and --log-time",
        );
    }
    None
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
            has_http_shutdown: self.python.http_shutdown,
            shows_exceptions: true,
        }
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
        let arguments: Vec<_> = std::iter::once("callgate".into())
            .chain(arguments)
            .collect();
        match callgate_cli::read::<Arguments>(&command(), &arguments) {
            Ok(Arguments {
                app,
                python,
                checks,
                server,
            }) => {
                let config = server.into_config();
                if let Some(reason) = not_for_python(&config) {
                    callgate_cli::fail(callgate_cli::USAGE, reason);
                    return Err(PySystemExit::new_err(callgate_cli::USAGE));
                }
                Ok(Self {
                    app,
                    python,
                    checks: Mutex::new(Some(checks)),
                    config,
                })
            }
            // An exit code tells nothing but whether it is that of success.
            Err(status) if status == ExitCode::SUCCESS => Err(PySystemExit::new_err(0)),
            Err(_) => Err(PySystemExit::new_err(callgate_cli::USAGE)),
        }
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
        self.python.factory
    }

    /// Returns whether a log has colours that is written to a terminal, or elsewhere.
    fn has_colours(&self, is_terminal: bool) -> bool {
        let is_asked_for = self.python.use_colors;
        !self.python.no_use_colors
            && is_asked_for.unwrap_or_else(|| is_terminal && callgate_cli::permits_colour())
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
        self.python.timeout_worker_healthcheck
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

    /// Whether a process ends after some requests or some time, and must be replaced.
    #[getter]
    fn retires(&self) -> bool {
        let process = &self.config.process;
        process.limit_max_requests.is_some() || process.limit_max_age.is_some()
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
