//! The command line, as flags.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use callgate::BoxApp;
use callgate_cli::{AppWrapper as _, Start};
use callgate_conformance::CheckFlags;
use callgate_inspector::InspectFlags;
use callgate_server::cli::Flags;
use clap::{Arg, ArgAction, Command, CommandFactory as _, Parser};

/// Serves an application in Python over HTTP/1.1, HTTP/2 and WebSocket
#[derive(Debug, Parser)]
#[command(name = "callgate", version)]
#[command(mut_args(switch))]
#[command(mut_arg("config", |arg| arg.help("Read settings of the server from this file, as TOML with the keys of SETTINGS.md").help_heading(None)))]
#[command(mut_arg("threads", |arg| arg.hide(true)))]
#[command(mut_arg("log_format", |arg| arg.hide(true)))]
#[command(mut_arg("log_time", |arg| arg.hide(true)))]
#[command(mut_arg("log_level", |arg| arg.long_help(None)))]
#[command(mut_arg("log_file", |arg| arg.long_help("The file to which the server's log is appended; standard error without one\n\nThe file is opened again when it was moved.")))]
#[command(mut_arg("reload", |arg| arg.help("Replace the workers when a file of the application changes, for development").long_help(None)))]
#[command(mut_arg("reload_dir", |arg| arg.help("With `--reload`, the folder to watch in place of that of the application; may be given repeatedly").long_help(None)))]
#[command(mut_arg("limit_max_requests", |arg| arg.help("Replace a worker after this many requests; `none` or 0 for never").long_help(None)))]
pub(super) struct Arguments {
    /// The application: `module:attribute`
    #[arg(value_name = "MODULE:APP", env = "CALLGATE_APP")]
    pub(super) app: String,
    #[command(flatten)]
    pub(super) python: PythonFlags,
    #[command(flatten)]
    pub(super) checks: Checks,
    #[command(flatten)]
    pub(super) server: Flags,
}

/// The flags of Python that need no value.
const SWITCHES: [&str; 3] = ["factory", "http_shutdown", "use_colors"];

/// Has a flag that needs no value take `true` and `false` as well, as its variable does.
fn switch(arg: Arg) -> Arg {
    if !SWITCHES.contains(&arg.get_id().as_str()) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_name("BOOL")
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
pub(super) fn command() -> Command {
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

    /// Returns why several processes cannot have these, one after the other or at once (`are_concurrent`).
    pub(super) fn not_for_processes(&self, are_concurrent: bool) -> Option<&'static str> {
        if self.check.recording().is_some_and(|path| !path.is_dir()) {
            return Some(
                "several processes cannot record to one file: give --record a folder that exists, where each process creates a file of its own",
            );
        }
        if are_concurrent
            && self
                .inspect
                .address()
                .is_some_and(|address| address.port() != 0)
        {
            return Some(
                "several workers cannot show their exchanges at one address: leave --workers out, or give --inspect=127.0.0.1:0, \
                 where each worker has a port of its own",
            );
        }
        None
    }

    /// Ends what was put around the application.
    pub(crate) fn ended(&mut self) {
        self.check.ended();
        self.inspect.ended();
    }
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Python")]
pub(super) struct PythonFlags {
    /// Call the attribute, without arguments, to get the application
    #[arg(
        long,
        env = "CALLGATE_FACTORY",
        default_value = "false",
        overrides_with = "no_factory"
    )]
    factory: bool,
    #[arg(long, hide = true, overrides_with = "factory")]
    no_factory: bool,
    /// Look for the module in this folder first
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        env = "CALLGATE_APP_DIR"
    )]
    pub(super) app_dir: PathBuf,
    /// What the application is; `auto` looks at what it takes
    #[arg(long, value_name = "INTERFACE", default_value = "auto", value_parser = ["auto", "asgi3", "asgi2", "wsgi"], env = "CALLGATE_INTERFACE")]
    pub(super) interface: String,
    /// The number of threads that run an application of WSGI
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "10",
        env = "CALLGATE_WSGI_THREADS"
    )]
    pub(super) wsgi_threads: NonZeroUsize,
    /// The event loop; `auto` is uvloop where it is installed
    #[arg(long = "loop", value_name = "LOOP", default_value = "auto", value_parser = ["auto", "asyncio", "uvloop"], env = "CALLGATE_LOOP")]
    pub(super) event_loop: String,
    /// How the collector of cycles runs: `tuned` leaves out what the start-up has made and runs less often; `python` changes nothing
    #[arg(long, value_name = "MODE", default_value = "tuned", value_parser = ["tuned", "python"], env = "CALLGATE_GC")]
    pub(super) gc: String,
    /// Tell an application that streams by the event `http.shutdown`, which ASGI does not have, that the server shuts down
    #[arg(
        long,
        env = "CALLGATE_HTTP_SHUTDOWN",
        default_value = "false",
        overrides_with = "no_http_shutdown"
    )]
    http_shutdown: bool,
    #[arg(long, hide = true, overrides_with = "http_shutdown")]
    no_http_shutdown: bool,
    /// The number of processes that serve; `WEB_CONCURRENCY` counts too
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "1",
        env = "CALLGATE_WORKERS"
    )]
    pub(super) workers: NonZeroUsize,
    /// The time in seconds after which a worker whose event loop makes no progress is replaced; 0 for never, the default with
    /// `--reload` [default: 30]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "CALLGATE_TIMEOUT_WORKER_HEALTHCHECK"
    )]
    pub(super) timeout_worker_healthcheck: Option<f64>,
    /// With `--reload`, watch files whose name or path is like this too, besides `*.py`; may be given repeatedly
    ///
    /// A pattern is as in a shell, and is compared with the end of the path if it has a slash. A name without wildcards is watched
    /// although it is excluded, and a folder is watched besides those of `--reload-dir`. `--reload-exclude '*.py'` leaves the default out.
    #[arg(
        long,
        value_name = "PATTERN",
        env = "CALLGATE_RELOAD_INCLUDE",
        value_delimiter = ','
    )]
    pub(super) reload_include: Vec<String>,
    /// With `--reload`, ignore files and folders whose name or path is like this, besides `.*`, `*.py[cod]` and `*~`; may be given repeatedly
    ///
    /// `--reload-include '.*'` leaves the default out.
    #[arg(
        long,
        value_name = "PATTERN",
        env = "CALLGATE_RELOAD_EXCLUDE",
        value_delimiter = ','
    )]
    pub(super) reload_exclude: Vec<String>,
    /// Read environment variables from this file, also those of flags, with python-dotenv
    #[arg(long, value_name = "FILE", env = "CALLGATE_ENV_FILE")]
    pub(super) env_file: Option<PathBuf>,
    /// Show the levels of the log in colours, or do not (`--no-use-colors`); without either, on a terminal unless `NO_COLOR` is set
    #[arg(long, env = "CALLGATE_USE_COLORS", overrides_with = "no_use_colors")]
    use_colors: Option<bool>,
    #[arg(long, hide = true, overrides_with = "use_colors")]
    no_use_colors: bool,
    /// The configuration of `logging`: a file as JSON or YAML, or in the form of `logging.config.fileConfig`
    #[arg(long, value_name = "FILE", env = "CALLGATE_LOG_CONFIG")]
    pub(super) log_config: Option<PathBuf>,
}

impl PythonFlags {
    pub(super) fn is_factory(&self) -> bool {
        self.factory && !self.no_factory
    }

    pub(super) fn has_http_shutdown(&self) -> bool {
        self.http_shutdown && !self.no_http_shutdown
    }

    /// Returns whether the log has colours; `None` if no flag decides.
    pub(super) fn has_colours(&self) -> Option<bool> {
        match self.no_use_colors {
            true => Some(false),
            false => self.use_colors,
        }
    }
}
