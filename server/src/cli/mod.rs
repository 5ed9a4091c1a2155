//! The command line: flags, their environment variables, logging and the exit status.
//!
//! [`main`] gives an application the whole command line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! # use callgate::{AppError, Receiver, Scope, Sender};
//! # async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
//! #     Err(AppError::Unsupported)
//! # }
//!
//! fn main() -> ExitCode {
//!     callgate_server::cli::main(app)
//! }
//! ```
//!
//! A program with commands of its own flattens [`Flags`] into them, and calls [`parse`] and
//! [`run`]. [`Program`] takes what the application adds to the health checks and to the metrics.
//!
//! # Shutdown
//!
//! At the first SIGINT or SIGTERM the server stops accepting connections and waits for exchanges
//! and background work, for at most `--timeout-graceful-shutdown`. Then it drops what still runs.
//! At a second signal the process ends within a second. Both are true for an application that
//! blocks its threads.
//!
//! # Replacement
//!
//! At SIGUSR2, and at `--limit-max-requests` and `--limit-max-age`, the process starts its executable
//! again and passes its sockets on. When the new process is ready to serve, this one shuts down. With
//! `--reload`, a second process serves, which is replaced when the executable changes. The README
//! describes both. This needs Unix.
//!
//! # Exit status
//!
//! - 0: the server stopped at a signal, during start-up or later, or because another process serves in
//!   its place; or the command printed its help or its version.
//! - 1: the server stopped, but the application's shutdown failed, or an application still ran; or
//!   `healthcheck` found a server that is not ready.
//! - 2: a flag, an environment variable or the settings file is wrong.
//! - 3: the server could not start.
//!
//! Every status but 0 comes with an error on standard error.

mod file;
mod flags;
mod healthcheck;
mod log;
mod pid_file;
mod serve;
mod settings;
#[cfg(unix)]
mod systemd;
#[cfg(unix)]
mod upgrade;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use callgate::{App, BoxApp};
use callgate_cli::fail;
use clap::{Args as _, Command, FromArgMatches, Subcommand as _};

use self::log::ServerLog;
use crate::{Monitoring, ServeError, Server};

pub use callgate_cli::{parse, parse_from};
pub use flags::Flags;
pub use healthcheck::healthcheck;
pub use settings::SettingsCommand;

/// The name of the command that asks whether a server is ready.
const HEALTHCHECK: &str = "healthcheck";

/// What the command line of a program that serves one application asks for.
#[derive(Debug)]
enum Invocation {
    Serve(Box<Flags>),
    Healthcheck(Box<Flags>),
    Show(SettingsCommand),
}

impl FromArgMatches for Invocation {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((HEALTHCHECK, matches)) => {
                Box::<Flags>::from_arg_matches(matches).map(Self::Healthcheck)
            }
            Some(_) => SettingsCommand::from_arg_matches(matches).map(Self::Show),
            None => Box::<Flags>::from_arg_matches(matches).map(Self::Serve),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Serves `app` with the settings of the command line. This is the whole `main` of a program that
/// serves one application.
///
/// The commands `config`, `completions` and `man` show the settings instead ([`SettingsCommand`]), and the
/// command `healthcheck` asks a server with the same settings whether it is ready ([`healthcheck`]).
pub fn main(app: impl App) -> ExitCode {
    Program::new(app).main()
}

/// Serves `app` until SIGINT or SIGTERM. Sets up logging and the runtime, and writes an error as
/// one line on standard error.
pub fn run(app: impl App, flags: Flags) -> ExitCode {
    Program::new(app).run(flags)
}

/// A program that serves one application, with what the application adds to the health checks and to the
/// metrics.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use callgate_server::{Monitoring, cli};
/// # async fn app(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> {
/// #     Err(callgate::AppError::Unsupported)
/// # }
///
/// fn main() -> ExitCode {
///     let monitoring = Monitoring::new();
///     // A clone of it goes to the application.
///     cli::Program::new(app).monitoring(monitoring).main()
/// }
/// ```
#[derive(Debug)]
#[must_use = "a program does nothing until it runs"]
pub struct Program {
    app: BoxApp,
    monitoring: Monitoring,
}

impl Program {
    /// Creates a program that serves `app`.
    pub fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            monitoring: Monitoring::new(),
        }
    }

    /// Sets what the application adds to the health checks and to the metrics of the server.
    pub fn monitoring(mut self, monitoring: Monitoring) -> Self {
        self.monitoring = monitoring;
        self
    }

    /// Does what the command line asks for, as [`main`] does.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let args: Vec<_> = std::env::args_os().collect();
        let command = command_for(&args);
        match callgate_cli::read::<Invocation>(&command, &args) {
            Ok(Invocation::Show(settings)) => settings.run(command),
            Ok(Invocation::Serve(flags)) => self.run(*flags),
            Ok(Invocation::Healthcheck(flags)) => healthcheck(*flags),
            Err(status) => status,
        }
    }

    /// Serves the application, as [`run`] does.
    #[must_use]
    pub fn run(self, flags: Flags) -> ExitCode {
        let config = flags.into_config();
        let log = match ServerLog::start(&config.log) {
            Ok(log) => log,
            Err(error) => return fail(error.exit_status(), describe(&error)),
        };
        let server = Server::new(self.app)
            .config(config.clone())
            .monitoring(self.monitoring);
        let result = serve::serve(server, &config, &log);
        // The last line is not held up by a log that nobody reads.
        log.finish();
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => log.fail(error.exit_status(), describe(&error)),
        }
    }
}

/// Returns the line of an error.
fn describe(error: &ServeError) -> String {
    format!("{error}{}", remedy(error))
}

/// Returns the flag that avoids the error, as an addition to the error's line; empty if there is
/// none.
fn remedy(error: &ServeError) -> &'static str {
    match error {
        ServeError::Listen { name, reason, .. } => match (*name, reason.kind()) {
            ("admin", _) => " (choose another with --admin)",
            ("insecure_bind", _) => " (choose another with --insecure-bind)",
            (_, io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                " (choose another with --port or --bind)"
            }
            (_, io::ErrorKind::AddrNotAvailable) => {
                " (choose an address of this machine with --host or --bind)"
            }
            _ => "",
        },
        ServeError::LogFile { name, .. } => match *name {
            "log_file" => " (choose another with --log-file)",
            _ => " (choose another with --access-log-file)",
        },
        ServeError::Runtime { .. } => " (choose fewer with --threads)",
        ServeError::LifespanDeclined => " (serve it without by --lifespan auto)",
        _ => "",
    }
}

/// Returns the command of a program that serves one application, with the name of the program.
fn command_for(args: &[OsString]) -> Command {
    let name = args
        .first()
        .and_then(|program| Path::new(program).file_stem())
        .map_or_else(|| "app".into(), |name| name.to_string_lossy().into_owned());
    // clap keeps a name for the life of the process, so this name is leaked, once.
    let name: &'static str = name.leak();
    let command = SettingsCommand::augment_subcommands(Command::new(name));
    let healthcheck = Flags::augment_args(Command::new(HEALTHCHECK))
        .about("Ask a server with the same settings whether it is ready");
    let command = command.subcommand(healthcheck);
    Flags::augment_args(command)
        .args_conflicts_with_subcommands(true)
        .about("Serves this application over HTTP/1.1, HTTP/2 and WebSocket")
        .version(concat!("(callgate-server ", env!("CARGO_PKG_VERSION"), ")"))
}
