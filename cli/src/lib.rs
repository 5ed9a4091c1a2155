//! The common parts of the command lines of Callgate: reading flags, exit statuses, colour, and what a command
//! line puts around the application that it serves.
//!
//! A wrong command line is described by clap. Where a wrong value came from an environment variable,
//! the description names the variable in place of the flag.

mod usage_error;

use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use callgate::BoxApp;
use clap::{ArgMatches, Command, FromArgMatches, Parser};

/// The exit status for a wrong flag, environment variable or command.
pub const USAGE: u8 = 2;

/// The exit status for a server that could not start.
pub const STARTUP: u8 = 3;

/// How a process that serves has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// By a user or a supervisor.
    First,
    /// By a process that serves, and that this one replaces. It ends some time after this one is ready: what both
    /// need alone, such as an address, is not free before.
    Successor,
}

/// What a command line puts around the application that it serves, such as a lint or a recorder.
///
/// A type that implements [`clap::Args`] as well can be added to the command line of a program of its own:
/// see `callgate_server::cli::Program::flags`.
pub trait AppWrapper: Debug {
    /// Wraps `app`. This is called once, in the process that serves, when the log takes lines. `start` says whether
    /// another process serves until this one is ready.
    ///
    /// # Errors
    ///
    /// Returns the reason, with the remedy, in one line. The server does not start then.
    fn wrap(&mut self, app: BoxApp, start: Start) -> Result<BoxApp, String>;

    /// Is called when the server has ended, while the log still takes lines. The default does nothing.
    fn ended(&mut self) {}
}

/// Reads the command line of this process.
///
/// # Errors
///
/// Returns the exit status: 0 after help or the version has been printed on standard output; 2 after
/// an error has been printed on standard error.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    parse_from(std::env::args_os())
}

/// Reads a command line, as [`parse`] does. The first of `args` is the name of the program.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_from<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, ExitCode> {
    let args: Vec<_> = args.into_iter().collect();
    read(&T::command(), &args)
}

/// Reads a command line with `command`, as [`parse`] does. The first of `args` is the name of the
/// program.
///
/// # Errors
///
/// As [`parse`].
pub fn read<T: FromArgMatches>(command: &Command, args: &[OsString]) -> Result<T, ExitCode> {
    read_with(command, args, T::from_arg_matches)
}

/// Reads a command line with `command`, and its values with `values`, as [`parse`] does. The first of `args` is
/// the name of the program.
///
/// # Errors
///
/// As [`parse`].
pub fn read_with<T>(
    command: &Command,
    args: &[OsString],
    values: impl FnOnce(&ArgMatches) -> Result<T, clap::Error>,
) -> Result<T, ExitCode> {
    try_read_with(command, args, values).map_err(|error| {
        // Nothing is left to do when the output is closed; the status says the same.
        let _ = error.print();
        if error.use_stderr() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// Reads a command line with `command`, and prints nothing. The first of `args` is the name of the program.
///
/// # Errors
///
/// Returns what [`parse`] prints.
pub fn try_read<T: FromArgMatches>(command: &Command, args: &[OsString]) -> Result<T, clap::Error> {
    try_read_with(command, args, T::from_arg_matches)
}

fn try_read_with<T>(
    command: &Command,
    args: &[OsString],
    values: impl FnOnce(&ArgMatches) -> Result<T, clap::Error>,
) -> Result<T, clap::Error> {
    // Errors mask the value of a variable only where `command` itself declares it secret.
    without_values(without_empty_variables(command.clone()))
        .try_get_matches_from(args)
        .and_then(|matches| values(&matches))
        .map_err(|error| usage_error::clarified(error, command, args))
}

/// Ignores environment variables that are set to nothing, as a compose file sets those that it passes on and that are
/// not set.
fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            if value.is_some_and(|value| value.is_empty()) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// Keeps the values of environment variables, which may be secrets, out of the help of `command` and
/// of its subcommands.
fn without_values(command: Command) -> Command {
    command
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(without_values)
}

/// Prints `reason` in one line on standard error, and returns `status` as an exit status.
pub fn fail(status: u8, reason: impl Display) -> ExitCode {
    let reason = usage_error::escape(&reason.to_string());
    // Nothing is left to do when standard error is closed; the status says the same.
    let _ = writeln!(std::io::stderr(), "error: {reason}");
    ExitCode::from(status)
}

/// Returns whether text written to `output` is to be coloured: `output` is a terminal, and colours are
/// [permitted](permits_colour).
#[must_use]
pub fn is_coloured(output: &impl IsTerminal) -> bool {
    output.is_terminal() && permits_colour()
}

/// Returns whether text on a terminal is to be coloured: `NO_COLOR` is unset or empty
/// (<https://no-color.org>).
#[must_use]
pub fn permits_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn help_names_environment_variables_without_their_values() {
        let command = || {
            // The variable that every process of Cargo has.
            let flag = Arg::new("root").long("root").env("CARGO_MANIFEST_DIR");
            Command::new("test").arg(flag)
        };
        let value = env!("CARGO_MANIFEST_DIR");
        for path in [&["test", "--help"][..], &["test", "run", "--help"]] {
            let command = command().subcommand(command().name("run"));
            let error = without_values(command)
                .try_get_matches_from(path)
                .unwrap_err()
                .to_string();
            assert!(error.contains("CARGO_MANIFEST_DIR"), "{error}");
            assert!(!error.contains(value), "{error}");
        }
    }
}
