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
//! - 2: a flag or an environment variable is wrong.
//! - 3: the server could not start.
//!
//! Every status but 0 comes with an error on standard error.

mod flags;
mod values;

use std::ffi::OsString;
use std::io::{self, stderr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use callgate::App;
use callgate_cli::{STARTUP, fail};
use clap::{Args as _, Command};
use tracing::level_filters::LevelFilter;

use crate::signals::{ForcedExit, SignalThread};
use crate::{ServeError, Server};

pub use callgate_cli::{parse, parse_from};
pub use flags::Flags;
pub use values::TimeLimit;

/// How the process ends after a second signal when a blocked thread keeps it alive.
const FORCED_EXIT: ForcedExit = ForcedExit {
    after: Duration::from_millis(900),
    status: 1,
};

/// Serves `app` with the settings of the command line. This is the whole `main` of a program that
/// serves one application.
pub fn main(app: impl App) -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match callgate_cli::read(&command_for(&args), &args) {
        Ok(flags) => run(app, flags),
        Err(status) => status,
    }
}

/// Serves `app` until SIGINT or SIGTERM. Sets up logging and the runtime, and writes an error as
/// one line on standard error.
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
    let server = Server::new(app).config(flags.into_config());
    let mut signals = None;
    let result = runtime.block_on(async {
        let server = server.bound()?;
        let thread = SignalThread::start(server.handle(), Some(FORCED_EXIT)).await;
        signals = Some(thread.map_err(ServeError::Signals)?);
        server.run().await
    });
    // A thread that an application blocks must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(
            error.exit_status(),
            format_args!("{error}{}", remedy(&error)),
        ),
    }
}

/// Returns the flag that avoids the error, as an addition to the error's line; empty if there is
/// none.
fn remedy(error: &ServeError) -> &'static str {
    match error {
        ServeError::Listen { reason, .. } => match reason.kind() {
            io::ErrorKind::AddrInUse => " (choose another with --port)",
            io::ErrorKind::AddrNotAvailable => " (choose an address of this machine with --host)",
            io::ErrorKind::PermissionDenied => " (choose a port above 1023 with --port)",
            _ => "",
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
    Flags::augment_args(Command::new(name))
        .about("Serves this application over HTTP/1.1, HTTP/2 and WebSocket")
        .version(concat!("(callgate-server ", env!("CARGO_PKG_VERSION"), ")"))
}

/// Logs to standard error, one line an event, coloured on a terminal.
fn start_logging(level: LevelFilter) {
    // This fails in a program that has set up its own logging, which is kept.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(callgate_cli::is_coloured(&stderr()))
        .with_target(false)
        // Otherwise a log whose reader has closed the pipe causes a panic.
        .log_internal_errors(false)
        .compact()
        .try_init();
}
