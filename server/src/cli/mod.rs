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
//! [`run`]. [`Program`] takes what the application adds to the health checks and to the metrics, and flags that put
//! something around the application, such as a lint.
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
#[cfg(unix)]
mod process_sockets;
mod serve;
mod settings;
#[cfg(unix)]
mod systemd;
#[cfg(unix)]
mod upgrade;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use callgate::{App, BoxApp};
use callgate_cli::fail;
use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand as _};

use self::log::ServerLog;
use crate::{Monitoring, ServeError, Server};

pub use callgate_cli::{AppWrapper, Start, parse, parse_from};
pub use flags::Flags;
pub use healthcheck::healthcheck;
pub use log::log_filter;
#[cfg(unix)]
pub use process_sockets::{ProcessSockets, SocketDescription};
pub use settings::SettingsCommand;

/// The name of the command that asks whether a server is ready.
const HEALTHCHECK: &str = "healthcheck";

/// What the command line of a program that serves one application asks for.
#[derive(Debug)]
enum Invocation {
    Serve(Box<Flags>, Vec<Box<dyn AppWrapper>>),
    Healthcheck(Box<Flags>),
    Show(SettingsCommand),
}

impl Invocation {
    fn read(matches: &ArgMatches, flag_sets: &[FlagSet]) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((HEALTHCHECK, matches)) => {
                Box::<Flags>::from_arg_matches(matches).map(Self::Healthcheck)
            }
            Some(_) => SettingsCommand::from_arg_matches(matches).map(Self::Show),
            None => {
                let flags = Box::<Flags>::from_arg_matches(matches)?;
                let wrappers = flag_sets.iter().map(|set| (set.read)(matches));
                Ok(Self::Serve(flags, wrappers.collect::<Result<_, _>>()?))
            }
        }
    }
}

/// Flags that are added to the command line, and that put something around the application.
#[derive(Clone, Copy, Debug)]
struct FlagSet {
    augment: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Box<dyn AppWrapper>, clap::Error>,
}

impl FlagSet {
    fn new<F: AppWrapper + Args + 'static>() -> Self {
        Self {
            augment: F::augment_args,
            read: |matches| Ok(Box::new(F::from_arg_matches(matches)?)),
        }
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
/// metrics, and with flags of its own.
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
///
/// `.flags::<callgate_conformance::CheckFlags>()` adds `--lint` and `--record`.
#[derive(Debug)]
#[must_use = "a program does nothing until it runs"]
pub struct Program {
    load: Load,
    monitoring: Monitoring,
    flag_sets: Vec<FlagSet>,
    wrappers: Vec<Box<dyn AppWrapper>>,
}

/// What returns the application of a program.
struct Load(Box<dyn FnOnce() -> Result<BoxApp, ExitCode>>);

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

impl Program {
    /// Creates a program that serves `app`.
    pub fn new(app: impl App) -> Self {
        Self::load(|| Ok(app))
    }

    /// Creates a program that serves the application that `load` returns, or ends with the status that it returns.
    ///
    /// The program calls `load` when it is to serve, and not for `--help` or for a command line that is wrong. The log
    /// has begun then. `load` itself tells why there is no application.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    ///
    /// use callgate_server::cli::Program;
    /// # use callgate::{AppError, Receiver, Scope, Sender};
    /// # async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    /// #     Err(AppError::Unsupported)
    /// # }
    ///
    /// fn main() -> ExitCode {
    ///     Program::load(|| {
    ///         let Ok(_key) = std::fs::read("key") else {
    ///             eprintln!("error: there is no file `key`");
    ///             return Err(ExitCode::FAILURE);
    ///         };
    ///         Ok(app)
    ///     })
    ///     .main()
    /// }
    /// ```
    pub fn load<A: App>(load: impl FnOnce() -> Result<A, ExitCode> + 'static) -> Self {
        Self {
            load: Load(Box::new(|| load().map(BoxApp::new))),
            monitoring: Monitoring::new(),
            flag_sets: Vec::new(),
            wrappers: Vec::new(),
        }
    }

    /// Sets what the application adds to the health checks and to the metrics of the server.
    pub fn monitoring(mut self, monitoring: Monitoring) -> Self {
        self.monitoring = monitoring;
        self
    }

    /// Adds the flags of `F` to the command line that [`main`](Self::main) reads. They are put around the application
    /// and around the wrappers that were added before.
    pub fn flags<F: AppWrapper + Args + 'static>(mut self) -> Self {
        self.flag_sets.push(FlagSet::new::<F>());
        self
    }

    /// Puts `wrapper` around the application and around the wrappers that were added before: for a program
    /// that reads its command line itself.
    pub fn wrapper(mut self, wrapper: impl AppWrapper + 'static) -> Self {
        self.wrappers.push(Box::new(wrapper));
        self
    }

    /// Does what the command line asks for, as [`main`] does.
    #[must_use]
    pub fn main(mut self) -> ExitCode {
        let args: Vec<_> = std::env::args_os().collect();
        let command = command_for(&args, &self.flag_sets);
        let values = |matches: &ArgMatches| Invocation::read(matches, &self.flag_sets);
        match callgate_cli::read_with(&command, &args, values) {
            Ok(Invocation::Show(settings)) => settings.run(command),
            Ok(Invocation::Serve(flags, wrappers)) => {
                self.wrappers.extend(wrappers);
                self.run(*flags)
            }
            Ok(Invocation::Healthcheck(flags)) => healthcheck(*flags),
            Err(status) => status,
        }
    }

    /// Serves the application, as [`run`] does.
    #[must_use]
    pub fn run(mut self, flags: Flags) -> ExitCode {
        let config = flags.into_config();
        let log = match ServerLog::start(&config.log) {
            Ok(log) => log,
            Err(error) => return fail(error.exit_status(), describe(&error)),
        };
        let app = match (self.load.0)() {
            Ok(app) => app,
            Err(status) => {
                log.finish();
                return status;
            }
        };
        let server = Server::new(app)
            .config(config.clone())
            .monitoring(self.monitoring);
        let result = serve::serve(server, &mut self.wrappers, &config, &log);
        for wrapper in &mut self.wrappers {
            wrapper.ended();
        }
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

/// Returns the command of a program that serves one application, with the name of the program and these flags.
fn command_for(args: &[OsString], flag_sets: &[FlagSet]) -> Command {
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
    flag_sets
        .iter()
        .fold(Flags::augment_args(command), |command, set| {
            (set.augment)(command)
        })
        .args_conflicts_with_subcommands(true)
        .about("Serves this application over HTTP/1.1, HTTP/2 and WebSocket")
        // The documentation of a type of flags would be a long description of the command.
        .long_about(None)
        .version(concat!("(callgate-server ", env!("CARGO_PKG_VERSION"), ")"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app::never;

    /// Flags of a program.
    ///
    /// Their documentation is for programmers.
    #[derive(Debug, clap::Args)]
    struct Marker {
        /// Mark the application
        #[arg(long)]
        mark: Option<String>,
    }

    impl AppWrapper for Marker {
        fn wrap(&mut self, app: BoxApp, _: Start) -> Result<BoxApp, String> {
            match &self.mark {
                Some(mark) => Err(format!("marked {mark}")),
                None => Ok(app),
            }
        }
    }

    /// Returns the wrappers that a program with [`Marker`] reads from this command line.
    fn wrappers(args: &[&str]) -> Vec<Box<dyn AppWrapper>> {
        let sets = [FlagSet::new::<Marker>()];
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let command = command_for(&args, &sets).mut_args(|arg| arg.env(None::<&str>));
        let matches = command.try_get_matches_from(args).unwrap();
        match Invocation::read(&matches, &sets).unwrap() {
            Invocation::Serve(_, wrappers) => wrappers,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_help_of_a_program_describes_the_program() {
        let sets = [FlagSet::new::<Marker>()];
        let help = command_for(&["shop".into()], &sets).render_long_help();
        let help = help.to_string();
        let first = "Serves this application over HTTP/1.1, HTTP/2 and WebSocket\n";
        assert!(help.starts_with(first), "{help}");
        assert!(
            help.contains("--mark") && !help.contains("programmers"),
            "{help}"
        );
    }

    #[test]
    fn flags_of_a_program_stand_beside_those_of_the_server_and_wrap_its_application() {
        let mut given = wrappers(&["shop", "--port", "1", "--mark", "here"]);
        let error = Server::new(never)
            .wrapped_in(&mut given, Start::First)
            .unwrap_err();
        assert!(matches!(&error, ServeError::Wrapper(reason) if reason == "marked here"));
        assert_eq!(
            (error.exit_status(), error.to_string().as_str()),
            (3, "marked here")
        );
        let mut absent = wrappers(&["shop", "--port", "1"]);
        assert_eq!(absent.len(), 1);
        assert!(
            Server::new(never)
                .wrapped_in(&mut absent, Start::First)
                .is_ok()
        );
    }
}
