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
//! [`run`].
//!
//! # Shutdown
//!
//! At the first SIGINT or SIGTERM the server stops accepting connections and waits for exchanges
//! and background work, for at most `--timeout-graceful-shutdown`. Then it drops what still runs.
//! At a second signal the process ends within a second. Both are true for an application that
//! blocks its threads.
//!
//! # Exit status
//!
//! - 0: the server stopped at a signal, during start-up or later; or the command printed its help or
//!   its version.
//! - 1: the server stopped, but the application's shutdown failed, or an application still ran.
//! - 2: a flag, an environment variable or the settings file is wrong.
//! - 3: the server could not start.
//!
//! Every status but 0 comes with an error on standard error.

mod file;
mod flags;
mod log;
mod settings;
#[cfg(unix)]
mod systemd;

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use callgate::App;
use callgate_cli::{STARTUP, fail};
use clap::{Args as _, Command, FromArgMatches, Subcommand as _};

use self::log::ServerLog;
use crate::config::{Config, MAX_THREADS};
use crate::signals::{ForcedExit, SignalThread};
use crate::{ServeError, Server};

pub use callgate_cli::{parse, parse_from};
pub use flags::Flags;
pub use settings::SettingsCommand;

/// How the process ends after a second signal when a blocked thread keeps it alive.
const FORCED_EXIT: ForcedExit = ForcedExit {
    after: Duration::from_millis(900),
    status: 1,
};

/// The command line of a program that serves one application.
#[derive(Debug)]
enum Program {
    Serve(Box<Flags>),
    Show(SettingsCommand),
}

impl FromArgMatches for Program {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
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
/// The commands `config`, `completions` and `man` show the settings instead ([`SettingsCommand`]).
pub fn main(app: impl App) -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let command = command_for(&args);
    match callgate_cli::read::<Program>(&command, &args) {
        Ok(Program::Show(settings)) => settings.run(command),
        Ok(Program::Serve(flags)) => run(app, *flags),
        Err(status) => status,
    }
}

/// Serves `app` until SIGINT or SIGTERM. Sets up logging and the runtime, and writes an error as
/// one line on standard error.
pub fn run(app: impl App, flags: Flags) -> ExitCode {
    let config = flags.into_config();
    let log = match ServerLog::start(&config.log) {
        Ok(log) => log,
        Err(error) => return fail(STARTUP, describe(&error)),
    };
    let status = serve(app, config, &log);
    // The last line is not held up by a log that nobody reads.
    log.finish();
    match status {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, reason)) => log.fail(status, reason),
    }
}

/// Runs the server. The error is the exit status and the reason.
fn serve(app: impl App, config: Config, log: &ServerLog) -> Result<(), (u8, String)> {
    let threads = config.process.threads.unwrap_or_else(cores);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.get())
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let reason =
                format!("cannot start {threads} threads: {error} (choose fewer with --threads)");
            return Err((STARTUP, reason));
        }
    };
    let server = Server::new(app).config(config);
    let mut signals = None;
    let result = runtime.block_on(async {
        #[cfg(unix)]
        let server = systemd::add_sockets(server)?;
        let server = server.bound()?;
        log.reopen_at_reload(&server.handle());
        #[cfg(target_os = "linux")]
        let report = systemd::report(server.handle());
        #[cfg(not(target_os = "linux"))]
        let report = std::future::pending();
        let thread = SignalThread::start(server.handle(), Some(FORCED_EXIT)).await;
        signals = Some(thread.map_err(ServeError::Signals)?);
        let mut run = pin!(server.run());
        tokio::select! {
            // A server that stops reports so before anything else.
            biased;
            () = report => run.await,
            result = &mut run => result,
        }
    });
    // A thread that an application blocks must not keep the process alive.
    runtime.shutdown_background();
    result.map_err(|error| (error.exit_status(), describe(&error)))
}

/// Returns the line of an error.
fn describe(error: &ServeError) -> String {
    format!("{error}{}", remedy(error))
}

/// Returns the flag that avoids the error, as an addition to the error's line; empty if there is
/// none.
fn remedy(error: &ServeError) -> &'static str {
    match error {
        ServeError::Listen { reason, .. } => match reason.kind() {
            io::ErrorKind::AddrInUse => " (choose another with --port or --bind)",
            io::ErrorKind::AddrNotAvailable => {
                " (choose an address of this machine with --host or --bind)"
            }
            io::ErrorKind::PermissionDenied => " (choose another with --port or --bind)",
            _ => "",
        },
        ServeError::LogFile { name, .. } => match *name {
            "log_file" => " (choose another with --log-file)",
            _ => " (choose another with --access-log-file)",
        },
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
    Flags::augment_args(command)
        .args_conflicts_with_subcommands(true)
        .about("Serves this application over HTTP/1.1, HTTP/2 and WebSocket")
        .version(concat!("(callgate-server ", env!("CARGO_PKG_VERSION"), ")"))
}

fn cores() -> NonZeroUsize {
    available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MAX_THREADS))
}
