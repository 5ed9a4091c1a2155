//! Completes clap's description of a wrong command line with the name of the environment variable
//! that a value came from, and with escapes for control characters in the user's text.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Arg, Command};

/// Returns `error` with the environment variable in place of the flag where a wrong value came from
/// the environment, and with control characters escaped.
///
/// `command` has read `args`, the first of which is the name of the program.
pub(super) fn clarified(mut error: Error, command: &Command, args: &[OsString]) -> Error {
    if let Some(arg) = arg_from_environment(&error, command, args) {
        let variable = arg.get_env().unwrap_or_default().to_string_lossy();
        let variable = ContextValue::String(variable.into_owned());
        error.insert(ContextKind::InvalidArg, variable);
        if arg.is_hide_env_values_set() {
            let hidden = ContextValue::String("***".into());
            error.insert(ContextKind::InvalidValue, hidden);
        }
    }
    // No value of ours looks like a flag, so an unknown flag is none that was meant as a value.
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg)
        && arg.starts_with('-')
    {
        error.remove(ContextKind::Suggested);
    }
    let escaped: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(escape(text)))),
            _ => None,
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

/// Returns `text` in one line, with all characters escaped that end a line, reorder text or are
/// invisible.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, character| {
        match character {
            '\'' | '"' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
        line
    })
}

/// Returns the argument whose wrong value came from the environment. clap reads the environment only
/// for flags that are absent from the command line, and its error does not say so.
fn arg_from_environment<'a>(
    error: &Error,
    command: &'a Command,
    args: &[OsString],
) -> Option<&'a Arg> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = flag_name(shown)?;
    let is_given = args
        .iter()
        .skip(1)
        .take_while(|given| *given != "--")
        .any(|given| given.to_str().and_then(flag_name) == Some(flag));
    if is_given {
        return None;
    }
    find_arg(flag, command).filter(|arg| arg.get_env().is_some())
}

/// Returns `port` of `--port`, `--port=1` and `--port <PORT>`.
fn flag_name(text: &str) -> Option<&str> {
    text.strip_prefix("--")?.split(['=', ' ', '[']).next()
}

fn find_arg<'a>(flag: &str, command: &'a Command) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag))
        .or_else(|| {
            let mut commands = command.get_subcommands();
            commands.find_map(|command| find_arg(flag, command))
        })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "callgate")]
    enum Cli {
        Run {
            app: String,
            #[arg(long, value_parser = port, env = "CALLGATE_PORT")]
            port: Option<u16>,
            #[arg(long, value_parser = port, env = "SECRET", hide_env_values = true)]
            secret: Option<u16>,
        },
    }

    fn port(text: &str) -> Result<u16, &'static str> {
        text.parse().map_err(|_| "give a number from 0 to 65535")
    }

    /// Returns the first line of the error for `read`, where the user has given `given` and the
    /// rest of `read` comes from the environment: clap reads a variable as if the flag were given.
    /// The environment of the test is left alone.
    fn first_line(given: &[&str], read: &[&str]) -> String {
        let os = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        let mut without_environment =
            Cli::command().mut_subcommand("run", |run| run.mut_args(|arg| arg.env(None::<&str>)));
        let error = without_environment
            .try_get_matches_from_mut(os(read))
            .unwrap_err();
        let error = clarified(error, &Cli::command(), &os(given));
        error.to_string().lines().next().unwrap().to_owned()
    }

    #[test]
    fn a_wrong_variable_is_named_in_place_of_its_flag() {
        assert_eq!(
            first_line(
                &["callgate", "run", "x"],
                &["callgate", "run", "x", "--port=many"]
            ),
            "error: invalid value 'many' for 'CALLGATE_PORT': give a number from 0 to 65535"
        );
    }

    #[test]
    fn a_wrong_value_on_the_command_line_is_named_with_its_flag() {
        for args in [
            &["callgate", "run", "x", "--port=many"][..],
            &["callgate", "run", "x", "--port", "many"],
        ] {
            assert_eq!(
                first_line(args, args),
                "error: invalid value 'many' for '--port <PORT>': give a number from 0 to 65535"
            );
        }
    }

    #[test]
    fn the_value_of_a_variable_that_help_hides_is_not_shown() {
        assert_eq!(
            first_line(
                &["callgate", "run", "x"],
                &["callgate", "run", "x", "--secret=5ecret"]
            ),
            "error: invalid value '***' for 'SECRET': give a number from 0 to 65535"
        );
    }

    #[test]
    fn an_unknown_flag_is_not_taken_for_a_value() {
        for (flag, tip) in [("--interface", None), ("--prot", Some("'--port'"))] {
            let args = ["callgate", "run", "x", flag].map(OsString::from);
            let error = Cli::command().try_get_matches_from(&args).unwrap_err();
            let text = clarified(error, &Cli::command(), &args).to_string();
            assert!(
                text.contains(&format!("unexpected argument '{flag}'")),
                "{text}"
            );
            assert_eq!(text.contains("tip:"), tip.is_some(), "{text}");
            assert!(tip.is_none_or(|tip| text.contains(tip)), "{text}");
        }
    }

    #[test]
    fn control_characters_in_a_value_are_escaped() {
        let args = ["callgate", "run", "x", "--port=a\nb\x1b[31m"];
        assert_eq!(
            first_line(&args, &args),
            "error: invalid value 'a\\nb\\u{1b}[31m' for '--port <PORT>': give a number from 0 to 65535"
        );
    }
}
