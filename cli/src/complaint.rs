//! What is wrong with a command line, in one line: clap's own texts have several.

use std::ffi::{OsStr, OsString};

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Says in one line what is wrong and what would be right.
///
/// `command` is the one that read `args` (the first of which is the program), and `environment`
/// what it found there.
pub(super) fn line(
    error: &Error,
    command: &Command,
    args: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> String {
    one_line(&describe(error, command, args, environment))
}

/// The first line of clap's own text, for errors that have no context.
pub(super) fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Values are shown as they were given, and may hold anything.
pub(super) fn one_line(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, character| {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        line
    })
}

fn describe(
    error: &Error,
    command: &Command,
    args: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> String {
    let arg = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let variable = variable_behind(&arg, command, args, environment);
    let given = |value: &str| match &variable {
        Some(variable) => format!("`{value}` in {variable}"),
        None => format!("`{value}` for {}", name(&arg)),
    };
    match error.kind() {
        ErrorKind::InvalidValue => {
            let choices = choices(error);
            if value.is_empty() && variable.is_none() {
                return format!("{} needs a value{choices}", name(&arg));
            }
            match text(error, ContextKind::SuggestedValue).as_str() {
                "" => format!("invalid value {}{choices}", given(&value)),
                meant => format!(
                    "invalid value {}; did you mean `{meant}`?{choices}",
                    given(&value)
                ),
            }
        }
        ErrorKind::ValueValidation => {
            let remedy = std::error::Error::source(error)
                .map(|remedy| format!(" ({remedy})"))
                .unwrap_or_default();
            format!("invalid value {}{remedy}", given(&value))
        }
        ErrorKind::TooManyValues => format!("{} takes no value, not `{value}`", name(&arg)),
        ErrorKind::UnknownArgument => {
            let kind = if arg.starts_with('-') {
                "flag"
            } else {
                "argument"
            };
            unknown(kind, &arg, &text(error, ContextKind::SuggestedArg))
        }
        ErrorKind::InvalidSubcommand => unknown(
            "command",
            &text(error, ContextKind::InvalidSubcommand),
            &text(error, ContextKind::SuggestedSubcommand),
        ),
        ErrorKind::MissingRequiredArgument => format!("{arg} is missing (see --help)"),
        ErrorKind::ArgumentConflict => match text(error, ContextKind::PriorArg) {
            prior if prior == arg => format!("{} is given more than once", name(&arg)),
            prior => {
                let command = text(error, ContextKind::InvalidSubcommand);
                let found = if arg.is_empty() { &command } else { &arg };
                format!("{} cannot be used with {}", name(found), name(&prior))
            }
        },
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing (see --help)".into()
        }
        _ => first_line(error),
    }
}

fn unknown(kind: &str, found: &str, meant: &str) -> String {
    let remedy = match meant {
        "" => "see --help".to_owned(),
        meant => format!("did you mean {meant}?"),
    };
    format!("unknown {kind} `{found}` ({remedy})")
}

/// The environment variable that the value of `arg` came from, if the command line does not give
/// that flag: clap reads the environment only then, and does not say so.
fn variable_behind(
    arg: &str,
    command: &Command,
    args: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Option<String> {
    let flag = name(arg);
    let is_given = args
        .iter()
        .skip(1)
        .take_while(|given| *given != "--")
        .any(|given| given.to_str().is_some_and(|given| name(given) == flag));
    let variable = variable_of(flag.strip_prefix("--")?, command)?.to_str()?;
    (!is_given && environment(variable).is_some()).then(|| variable.to_owned())
}

/// The environment variable of a flag of `command` or of one of its subcommands.
fn variable_of<'a>(flag: &str, command: &'a Command) -> Option<&'a OsStr> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag))
        .and_then(clap::Arg::get_env)
        .or_else(|| {
            command
                .get_subcommands()
                .find_map(|command| variable_of(flag, command))
        })
}

/// `--port` of `--port <PORT>` and of `--port=1`; `APP` of `<APP>` and of `[APP]`.
fn name(arg: &str) -> &str {
    let end = arg.find(['=', ' ']).unwrap_or(arg.len());
    arg[..end].trim_matches(['<', '>', '[', ']'])
}

fn choices(error: &Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => {
            format!(" (one of: {})", values.join(", "))
        }
        _ => String::new(),
    }
}

fn text(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(values)) => values.join(", "),
        Some(ContextValue::String(value)) => value.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "callgate")]
    enum Cli {
        Run {
            app: String,
            #[arg(long, value_parser = host)]
            host: Option<String>,
            #[arg(long, value_parser = port, env = "CALLGATE_PORT", allow_negative_numbers = true)]
            port: Option<u16>,
            #[arg(long, value_parser = ["auto", "1", "2"])]
            http: Option<String>,
            #[arg(long, value_parser = ["auto", "on", "off"])]
            lifespan: Option<String>,
            #[arg(long)]
            access_log: bool,
        },
        Apps,
    }

    fn host(text: &str) -> Result<String, &'static str> {
        let address = text.parse().map(|address: IpAddr| address.to_string());
        address.map_err(|_| "give an IP address, such as 127.0.0.1 or ::1")
    }

    fn port(text: &str) -> Result<u16, &'static str> {
        text.parse()
            .map_err(|_| "give a number from 0 to 65535; 0 picks a free port")
    }

    /// What is said of a command line, in an environment with these variables.
    fn complaint_in(environment: &[(&str, &str)], given: &[&str], read: &[&str]) -> String {
        let os = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        // The environment of the test itself is left alone.
        let error = Cli::command()
            .mut_subcommand("run", |run| run.mut_args(|arg| arg.env(None::<&str>)))
            .try_get_matches_from(os(read))
            .unwrap_err();
        let line = line(&error, &Cli::command(), &os(given), |name| {
            let mut variables = environment.iter();
            let (_, value) = variables.find(|(variable, _)| *variable == name)?;
            Some(value.into())
        });
        assert!(!line.contains('\n'), "{line}");
        line
    }

    fn complaint(args: &[&str]) -> String {
        let args = [&["callgate"], args].concat();
        complaint_in(&[], &args, &args)
    }

    #[test]
    fn a_wrong_value_is_named_with_its_flag_and_what_would_be_right() {
        assert_eq!(
            complaint(&["run", "x", "--port", "70000"]),
            "invalid value `70000` for --port (give a number from 0 to 65535; 0 picks a free port)"
        );
        assert_eq!(
            complaint(&["run", "x", "--port=-1"]),
            "invalid value `-1` for --port (give a number from 0 to 65535; 0 picks a free port)"
        );
        assert_eq!(
            complaint(&["run", "x", "--http", "3"]),
            "invalid value `3` for --http (one of: auto, 1, 2)"
        );
    }

    #[test]
    fn a_typo_gets_a_suggestion() {
        assert_eq!(
            complaint(&["run", "x", "--prot", "80"]),
            "unknown flag `--prot` (did you mean --port?)"
        );
        assert_eq!(
            complaint(&["rum", "x"]),
            "unknown command `rum` (did you mean run?)"
        );
        assert_eq!(
            complaint(&["run", "x", "--lifespan", "atuo"]),
            "invalid value `atuo` for --lifespan; did you mean `auto`? (one of: auto, on, off)"
        );
    }

    #[test]
    fn what_is_like_nothing_known_gets_help() {
        assert_eq!(
            complaint(&["run", "x", "--zzz"]),
            "unknown flag `--zzz` (see --help)"
        );
        assert_eq!(
            complaint(&["run", "x", "y"]),
            "unknown argument `y` (see --help)"
        );
        assert_eq!(complaint(&["zzz"]), "unknown command `zzz` (see --help)");
    }

    #[test]
    fn a_value_of_two_lines_is_shown_in_one() {
        assert_eq!(
            complaint(&["run", "x", "--host=a\nb"]),
            "invalid value `a\\nb` for --host (give an IP address, such as 127.0.0.1 or ::1)"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(complaint(&["run", "x", "--port"]), "--port needs a value");
        assert_eq!(
            complaint(&["run", "x", "--http"]),
            "--http needs a value (one of: auto, 1, 2)"
        );
        assert_eq!(complaint(&["run"]), "<APP> is missing (see --help)");
    }

    #[test]
    fn a_missing_command_is_missed() {
        assert_eq!(complaint(&[]), "a command is missing (see --help)");
    }

    #[test]
    fn what_is_too_much_is_named() {
        assert_eq!(
            complaint(&["run", "x", "--access-log=yes"]),
            "--access-log takes no value, not `yes`"
        );
        assert_eq!(
            complaint(&["run", "x", "--port=1", "--port=2"]),
            "--port is given more than once"
        );
    }

    #[test]
    fn a_wrong_variable_is_named_in_place_of_the_flag() {
        // clap reads a variable as if it were the value of the flag.
        let read = ["callgate", "run", "x", "--port=many"];
        assert_eq!(
            complaint_in(
                &[("CALLGATE_PORT", "many")],
                &["callgate", "run", "x"],
                &read
            ),
            "invalid value `many` in CALLGATE_PORT (give a number from 0 to 65535; 0 picks a free port)"
        );
        assert_eq!(
            complaint_in(&[("CALLGATE_PORT", "80")], &read, &read),
            "invalid value `many` for --port (give a number from 0 to 65535; 0 picks a free port)"
        );
    }
}
