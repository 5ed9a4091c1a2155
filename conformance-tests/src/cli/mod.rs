//! The command line of the suites.
//!
//! [`main`] is the whole `main` of a program that checks servers and applications. The program adds
//! its own with [`Subjects`]:
//!
//! ```no_run
//! use std::ffi::OsString;
//! use std::process::ExitCode;
//!
//! use callgate_conformance::{Probe, cli};
//!
//! fn main() -> ExitCode {
//!     let subjects = cli::Subjects::new()
//!         .server("my server", serve)
//!         .app("hello", || callgate::BoxApp::new(hello));
//!     cli::main(subjects)
//! }
//!
//! # async fn hello(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> { Ok(()) }
//!
//! fn serve(probe: Probe, flags: Vec<OsString>) -> ExitCode {
//!     # let _ = (probe, flags);
//!     // Reads `--port` and the other flags, and serves the probe until the process is stopped.
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! # Exit status
//!
//! - 0: no MUST was broken; or the command printed its help, its version or the list of rules.
//! - 1: a MUST was broken, or a replay differs from its recording.
//! - 2: a flag is wrong.
//! - 3: the server cannot be started, does not serve the probe or, for `http`, does not answer; or the
//!   start-up of the application fails without breaking a MUST; or a recording cannot be replayed.
//! - 130, 143: SIGINT or SIGTERM ended the command.
//!
//! Statuses 2 and above come with an error on standard error.

// A suite has a subcommand, in a file with its `Args`, which flatten `Reporting`, and with a function
// that returns a `Report`. Its checks are added to `list::checks`, and the subjects of a program to
// `Subjects`.

mod app;
mod command_error;
mod http;
mod list;
mod output;
mod progress;
mod python_app;
mod replay;
mod reporting;
mod request_path;
mod seconds;
mod server;
mod server_url;
mod subjects;

use std::future::Future;
use std::process::ExitCode;

use callgate_cli::{USAGE, fail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::probe::Probe;
use crate::report::{Format, Report};
use command_error::CommandError;
use output::print;
use reporting::Reporting;
pub use subjects::Subjects;

/// The exit status when a MUST was broken, or a replay differs from its recording.
const FAILED: u8 = 1;
/// The exit statuses of a process that SIGINT or SIGTERM ended, as a shell reports them.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Checks applications and servers against the documents of Callgate, rule by rule
#[derive(Debug, Parser)]
#[command(
    name = "callgate-conformance",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_required = false,
    arg_required_else_help = true,
    after_help = "\
`callgate-conformance server --help` explains how to check your own server.

Exit status: 0 when no MUST was broken, 1 when one was, 2 for a wrong flag, 3 when the server or
the application cannot be started, or the recording cannot be replayed."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check an application in process
    App(Box<app::Args>),
    /// Check a server over real sockets while it serves the probe
    Server(Box<server::Args>),
    /// Check anything that serves HTTP on a port, from outside
    Http(Box<http::Args>),
    /// Replay a recording to an application and show where its responses differ
    Replay(replay::Args),
}

#[derive(Debug, Args)]
struct List {
    /// List the rules: ID, role, level, number of checks and sentence
    #[arg(long, required = true)]
    list: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command line of this process: the whole `main` of a program.
pub fn main(subjects: Subjects) -> ExitCode {
    let Subjects { server, apps } = subjects;
    let mut args = std::env::args_os();
    let is_probe = args
        .nth(1)
        .is_some_and(|command| command == server::PROBE_COMMAND);
    if let (true, Some(server)) = (is_probe, &server) {
        return match Probe::from_env() {
            Ok(probe) => (server.serve)(probe, args.collect()),
            Err(reason) => fail(USAGE, reason),
        };
    }
    let Cli { command, list } = match callgate_cli::parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let is_success = match command {
        None => list::print_rules(&list.reporting).map(|()| true),
        Some(Command::App(args)) => {
            app::check(&args, &apps).map(|report| print_report(&report, &args.reporting))
        }
        Some(Command::Server(args)) => run_async(server::check(&args, server.as_ref()))
            .map(|report| print_report(&report, &args.reporting)),
        Some(Command::Http(args)) => run_async(http::check(&args)).map(|report| match report {
            Some(report) => {
                print(&match args.form.format {
                    Format::Table => report.table(args.form.table()),
                    format => report.in_format(format),
                });
                !report.has_failed()
            }
            None => {
                print(&http::list());
                true
            }
        }),
        Some(Command::Replay(args)) => replay::run(&args, &apps).map(|replay| {
            print(&replay.to_string());
            replay.differences.is_empty()
        }),
    };
    match is_success {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(error.exit_status, error.message),
    }
}

/// Prints a report. Returns whether no MUST was broken.
fn print_report(report: &Report, reporting: &Reporting) -> bool {
    print(&reporting.text(report));
    !report.has_failed()
}

/// Runs a suite to its end, or until a signal. The processes that the suite has started end with it.
fn run_async<T>(suite: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::startup(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(async {
        let no_signals =
            |error| CommandError::startup(format!("cannot listen to signals: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
        tokio::select! {
            report = suite => report,
            _ = interrupted.recv() => Err(CommandError {
                exit_status: INTERRUPTED,
                message: "interrupted by SIGINT".into(),
            }),
            _ = terminated.recv() => Err(CommandError {
                exit_status: TERMINATED,
                message: "ended by SIGTERM".into(),
            }),
        }
    })
}
