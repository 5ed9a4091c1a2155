//! The command line: flags, their environment variables, logging and the exit status.
//!
//! [`main`] gives an application all of it:
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
//! # Exit status
//!
//! - 0: the server was told to stop, during start-up or later, and did; or help or the version was
//!   asked for.
//! - 1: it stopped, but something could not be put away.
//! - 2: a flag or an environment variable is wrong.
//! - 3: it could not start.
//!
//! Each but the first comes with one line on standard error.

mod complaint;
mod flags;

use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use callgate::App;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _, Parser};
use tracing::level_filters::LevelFilter;

pub use flags::Flags;

/// A flag, an environment variable or a command is wrong.
const USAGE: u8 = 2;
/// The server could not start.
const STARTUP: u8 = 3;

/// Serves `app` as the command line says: the whole `main` of a program that serves one
/// application.
pub fn main(app: impl App) -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let flags = matches(command_for(&args), &args)
        .and_then(|matches| Flags::from_arg_matches(&matches).map_err(|error| report(&error)));
    match flags {
        Ok(flags) => run(app, flags),
        Err(status) => status,
    }
}

/// Reads the command line of this process.
///
/// # Errors
///
/// The status to exit with: 0 when help or the version was asked for, which has been printed; 2
/// when something is wrong, which has been said in one line on standard error.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    parse_from(std::env::args_os())
}

/// [`parse`] for a command line from elsewhere. The first of `args` is the name of the program.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_from<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, ExitCode> {
    let args: Vec<_> = args.into_iter().collect();
    let matches = matches(T::command(), &args)?;
    T::from_arg_matches(&matches).map_err(|error| report(&error))
}

/// Serves `app` until the process is told to stop: sets up logging and the runtime, and reports
/// what went wrong in one line on standard error.
pub fn run(app: impl App, flags: Flags) -> ExitCode {
    start_logging(flags.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(flags.threads.get())
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(
                STARTUP,
                format_args!(
                    "cannot start {} threads: {error} (choose fewer with --threads)",
                    flags.threads
                ),
            );
        }
    };
    let result = runtime.block_on(crate::serve(app, flags.into_config()));
    // A blocking call that outlived the time for shutdown must not hold the process back.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_status(), &error),
    }
}

/// The command of a program that serves one application: named as it was called.
fn command_for(args: &[OsString]) -> Command {
    let name = args
        .first()
        .and_then(|program| Path::new(program).file_stem())
        .map_or_else(|| "app".into(), |name| name.to_string_lossy().into_owned());
    // clap keeps names for the life of the process; this one is made once.
    let name: &'static str = name.leak();
    Flags::augment_args(Command::new(name))
        .about("Serves this application over HTTP/1.1, HTTP/2 and WebSocket")
        .version(concat!("(callgate-server ", env!("CARGO_PKG_VERSION"), ")"))
}

fn matches(mut command: Command, args: &[OsString]) -> Result<ArgMatches, ExitCode> {
    command.try_get_matches_from_mut(args).map_err(|error| {
        if error.use_stderr() {
            let from_environment = |name: &str| std::env::var_os(name);
            let line = complaint::line(&error, &command, args, from_environment);
            fail(USAGE, line)
        } else {
            report(&error)
        }
    })
}

/// Prints help, the version, or an error of clap that has no context.
fn report(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        fail(USAGE, complaint::first_line(error))
    } else {
        // Nothing is left to do when standard output is closed.
        let _ = error.print();
        ExitCode::SUCCESS
    }
}

fn fail(status: u8, reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::from(status)
}

/// One line an event on standard error, coloured when that is a terminal.
fn start_logging(level: LevelFilter) {
    let is_coloured =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A program that has set up its own logging keeps it.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(is_coloured)
        .with_target(false)
        .compact()
        .try_init();
}
