//! What the command lines of Callgate have in common.
//!
//! What is wrong with a command line, or with an environment variable in place of a flag, is said
//! in one line on standard error, with what would be right: clap's own texts have several lines.

mod complaint;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches, Parser};

/// The status to exit with when a flag, an environment variable or a command is wrong.
pub const USAGE: u8 = 2;

/// The status to exit with when a server could not start.
pub const STARTUP: u8 = 3;

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
    read(T::command(), &args)
}

/// What `command` reads in `args`, the first of which is the name of the program.
///
/// # Errors
///
/// As [`parse`].
pub fn read<T: FromArgMatches>(command: Command, args: &[OsString]) -> Result<T, ExitCode> {
    let matches = matches(without_values(command), args)?;
    T::from_arg_matches(&matches).map_err(|error| report(&error))
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

/// Keeps the values of environment variables, which may be secrets, out of the help of `command` and
/// of its subcommands.
fn without_values(command: Command) -> Command {
    command
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(without_values)
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

/// Says what is wrong, in one line on standard error; the status to exit with.
pub fn fail(status: u8, reason: impl Display) -> ExitCode {
    let reason = complaint::one_line(&reason.to_string());
    // Nothing is left to do when standard error is closed; the status says the same.
    let _ = writeln!(std::io::stderr(), "error: {reason}");
    ExitCode::from(status)
}

/// Whether what goes to this output is to be coloured: it is a terminal, and `NO_COLOR` is unset or
/// empty (<https://no-color.org>).
#[must_use]
pub fn is_coloured(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
