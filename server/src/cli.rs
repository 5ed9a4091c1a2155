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
//! Each but the first comes with an error on standard error.

mod flags;

use std::ffi::OsString;
use std::io::stderr;
use std::path::Path;
use std::process::ExitCode;

use callgate::App;
use callgate_cli::{STARTUP, fail};
use clap::{Args as _, Command};
use tracing::level_filters::LevelFilter;

pub use callgate_cli::{parse, parse_from};
pub use flags::Flags;

/// Serves `app` as the command line says: the whole `main` of a program that serves one
/// application.
pub fn main(app: impl App) -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match callgate_cli::read(command_for(&args), &args) {
        Ok(flags) => run(app, flags),
        Err(status) => status,
    }
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

/// One line an event on standard error, coloured when that is a terminal.
fn start_logging(level: LevelFilter) {
    // A program that has set up its own logging keeps it.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(callgate_cli::is_coloured(&stderr()))
        .with_target(false)
        // Where nobody reads the log any more, what cannot be written to it must not be a panic.
        .log_internal_errors(false)
        .compact()
        .try_init();
}
