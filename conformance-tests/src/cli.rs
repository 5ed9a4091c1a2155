//! The command line: what to check, the format of the report and the exit status.
//!
//! [`main`] is the whole `main` of a program that checks servers and applications; it brings some of
//! its own by [`Subjects`]:
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
//! - 0: no MUST was broken; or help, the version or the list was asked for.
//! - 1: a MUST was broken, or a replay was answered otherwise.
//! - 2: a flag is wrong.
//! - 3: the server cannot be started, or does not serve the probe; the start-up of the application
//!   fails, and no MUST is broken by that; a recording cannot be played.
//! - 130, 143: SIGINT, or SIGTERM, came before the end.
//!
//! All but the first two come with an error on standard error.

// Each suite is a subcommand: a file here with its `Args`, which flatten the `Reporting` of all, and
// a function that makes a `Report`. Its checks go into `list::checks`, and what a program brings
// for it into `Subjects`.

mod app;
mod list;
mod progress;
mod replay;
mod reporting;
mod server;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use callgate::BoxApp;
use callgate_cli::{STARTUP, USAGE, fail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Probe, Report};
use reporting::Reporting;

/// A MUST was broken, or a replay was answered otherwise.
const BROKEN: u8 = 1;
/// What a shell says of a process that SIGINT ended, and one that SIGTERM did.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// The hidden command by which this program is the server that it checks.
const PROBE_COMMAND: &str = "probe";

/// What a program brings to its command line.
#[derive(Debug, Default)]
pub struct Subjects {
    server: Option<OwnServer>,
    apps: Vec<OwnApp>,
}

#[derive(Debug)]
struct OwnServer {
    name: String,
    serve: fn(Probe, Vec<OsString>) -> ExitCode,
}

struct OwnApp {
    name: String,
    make: Arc<dyn Fn() -> BoxApp + Send + Sync>,
}

impl fmt::Debug for OwnApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnApp").field(&self.name).finish()
    }
}

impl Subjects {
    /// Nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The server that is checked when no other is asked for. It is called `name` in the report.
    /// `serve` is called in a process of its own, which a case ends or tells to stop: with the
    /// application to serve, and with flags as [`Settings::flags`](crate::Settings::flags) gives
    /// them, after `--port` and the port of the loopback interface to listen on.
    #[must_use]
    pub fn server(
        mut self,
        name: impl Into<String>,
        serve: fn(Probe, Vec<OsString>) -> ExitCode,
    ) -> Self {
        self.server = Some(OwnServer {
            name: name.into(),
            serve,
        });
        self
    }

    /// An application that is checked, and replayed to, by this name. `make` is called more than
    /// once, because one application starts up once.
    #[must_use]
    pub fn app(
        mut self,
        name: impl Into<String>,
        make: impl Fn() -> BoxApp + Send + Sync + 'static,
    ) -> Self {
        self.apps.push(OwnApp {
            name: name.into(),
            make: Arc::new(make),
        });
        self
    }
}

/// The one of `apps` that is called `name`.
fn a_name<'a>(name: &str, apps: &'a [OwnApp]) -> Result<&'a OwnApp, Stopped> {
    apps.iter().find(|app| app.name == name).ok_or_else(|| {
        let names: Vec<_> = apps.iter().map(|app| app.name.as_str()).collect();
        Stopped::usage(format!(
            "there is no application `{name}` (choose from: {})",
            names.join(", ")
        ))
    })
}

/// Checks applications and servers against the documents of Callgate, rule by rule
#[derive(Debug, Parser)]
#[command(
    name = "callgate-conformance",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_required = false,
    arg_required_else_help = true,
    after_help = "\
`callgate-conformance server --help` tells how to check a server of yours.

Exit status: 0 when no MUST was broken, 1 when one was, 2 for a wrong flag, 3 when the server or
the application cannot be started, or the recording not be played."
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
    /// Play a recording to an application and show where its answers differ
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

/// Why nothing was checked to the end: the status to exit with, and one line.
#[derive(Debug)]
struct Stopped(u8, String);

impl Stopped {
    fn usage(reason: impl Into<String>) -> Self {
        Self(USAGE, reason.into())
    }

    fn startup(reason: impl Into<String>) -> Self {
        Self(STARTUP, reason.into())
    }
}

/// Checks what the command line of this process says: the whole `main` of a program.
pub fn main(subjects: Subjects) -> ExitCode {
    let Subjects { server: own, apps } = subjects;
    let mut args = std::env::args_os();
    let is_probe = args.nth(1).is_some_and(|command| command == PROBE_COMMAND);
    if let (true, Some(server)) = (is_probe, &own) {
        return match Probe::from_env() {
            Ok(probe) => (server.serve)(probe, args.collect()),
            Err(reason) => fail(USAGE, reason),
        };
    }
    let Cli { command, list } = match callgate_cli::parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let is_good = match command {
        None => list::print(&list.reporting).map(|()| true),
        Some(Command::App(args)) => {
            app::check(&args, &apps).map(|report| shown(&report, &args.reporting))
        }
        Some(Command::Server(args)) => {
            check(server::check(&args, own.as_ref())).map(|report| shown(&report, &args.reporting))
        }
        Some(Command::Replay(args)) => replay::play(&args, &apps).map(|replay| {
            print(&replay.to_string());
            replay.differences.is_empty()
        }),
    };
    match is_good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(Stopped(status, reason)) => fail(status, reason),
    }
}

/// Prints a report; whether no MUST was broken.
fn shown(report: &Report, reporting: &Reporting) -> bool {
    print(&reporting.text(report));
    !report.has_failed()
}

/// Runs a suite to its end, or until a signal ends it: what it has started ends with it.
fn check(suite: impl Future<Output = Result<Report, Stopped>>) -> Result<Report, Stopped> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stopped::startup(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(async {
        let no_signals = |error| Stopped::startup(format!("cannot listen to signals: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
        tokio::select! {
            report = suite => report,
            _ = interrupted.recv() => Err(Stopped(INTERRUPTED, "interrupted".into())),
            _ = terminated.recv() => Err(Stopped(TERMINATED, "told to stop".into())),
        }
    })
}

fn print(text: &str) {
    // Whoever reads may have read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
