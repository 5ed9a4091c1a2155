//! The flags of a server, one for each setting.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::path::PathBuf;

use callgate_drive::Escaped;
use clap::builder::{OsStr, ValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::file;
use crate::config::{Config, GROUPS, Setting, Shape, find};
use crate::error::ServeError;

/// The identifier of `--config`.
pub(super) const CONFIG: &str = "config";

/// The settings of a server from the command line: its flags, their environment variables, and a
/// settings file.
///
/// A flag overrides its variable, and a variable overrides the file. A program with flags of its own
/// has a field of this type with `#[command(flatten)]`.
#[derive(Clone, Debug)]
pub struct Flags {
    pub(super) config: Config,
    /// Where the values come from that are not defaults, by the name of their setting.
    pub(super) origins: HashMap<&'static str, Origin>,
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line of the settings file.
    File(PathBuf, usize),
    /// The environment variable of the setting.
    Variable,
    /// The flag of the setting.
    Flag,
}

impl Flags {
    /// Returns the configuration that these flags give.
    #[must_use]
    pub fn into_config(self) -> Config {
        self.config
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Read settings from this file, which `config --default` begins")
            .env("CALLGATE_CONFIG")
            .display_order(0);
        let mut command = command.arg(file).after_help(AFTER_HELP);
        for group in GROUPS.iter() {
            for setting in &group.settings {
                command = command.args(args(setting, group.name));
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const AFTER_HELP: &str = "\
A flag overrides its environment variable, and a variable the settings file. A variable that is empty is
not set. Each setting without a value has an opposite: --no-access-log for --access-log, or
CALLGATE_ACCESS_LOG=false.";

/// Returns the flag of a setting; for a switch, its opposite too.
fn args(setting: &'static Setting, heading: &'static str) -> Vec<Arg> {
    let check = move |text: &str| -> Result<String, &'static str> {
        match (setting.check)(&setting.shape.split(text)) {
            Ok(()) => Ok(text.to_owned()),
            Err(wrong) => Err(wrong.remedy),
        }
    };
    let (help, long_help) = help(setting);
    let arg = Arg::new(setting.name)
        .long(setting.flag.as_str())
        .env(OsStr::from(variable(setting)))
        .value_name(setting.value_name)
        .value_parser(ValueParser::from(check))
        .allow_negative_numbers(true)
        .help(help)
        .long_help(long_help)
        .help_heading(heading);
    match setting.shape {
        Shape::Switch => {
            let arg = arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true");
            let opposite = Arg::new(setting.opposite.as_str())
                .long(setting.opposite.as_str())
                .action(ArgAction::SetTrue)
                .hide(true)
                .overrides_with(setting.name)
                .help_heading(heading);
            vec![arg, opposite]
        }
        Shape::List(separator) => {
            vec![arg.action(ArgAction::Append).value_delimiter(separator)]
        }
        #[cfg(feature = "tls")]
        Shape::Secret => vec![arg.hide_env_values(true)],
        Shape::Number | Shape::Text => vec![arg],
    }
}

/// Returns the environment variable of a setting. That of the levels of the log is `RUST_LOG`, as of other programs in
/// Rust, if only that is set.
pub(super) fn variable(setting: &'static Setting) -> &'static str {
    const RUST_LOG: &str = "RUST_LOG";
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let own = setting.variable.as_str();
    match setting.name == "log_level" && !is_set(own) && is_set(RUST_LOG) {
        true => RUST_LOG,
        false => own,
    }
}

/// Returns the summary of a setting, and its whole description, with its default.
fn help(setting: &Setting) -> (String, String) {
    let mut paragraphs = setting.paragraphs();
    let summary = paragraphs.next().unwrap_or_default();
    let rest: Vec<_> = paragraphs.collect();
    let summary = summary.strip_suffix('.').unwrap_or(&summary).to_owned();
    let default = match setting.default {
        "none" => String::new(),
        "true" => format!(" [default: true; --no-{} for false]", setting.flag),
        "false" => String::new(),
        text => format!(" [default: {text}]"),
    };
    let short = format!("{summary}{default}");
    let long = match rest.is_empty() {
        true => short.clone(),
        false => format!("{short}\n\n{}", rest.join("\n\n")),
    };
    (short, long)
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self {
            config: Config::default(),
            origins: HashMap::new(),
        };
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG) {
            file::read(path, &mut flags).map_err(usage_error)?;
        }
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for group in GROUPS.iter() {
            for setting in &group.settings {
                if let Some((texts, origin)) = given(setting, matches) {
                    let split = |text| setting.shape.split(text);
                    let texts: Vec<_> = texts.iter().copied().flat_map(split).collect();
                    (setting.set)(&mut self.config, &texts).map_err(|wrong| {
                        usage_error(format!("`--{}`: {}", setting.flag, wrong.remedy))
                    })?;
                    self.origins.insert(setting.name, origin);
                }
            }
        }
        self.config
            .check()
            .map_err(|error| usage_error(in_flags(&error)))
    }
}

/// Returns the texts of a setting from the command line or from its variable.
fn given<'a>(setting: &'static Setting, matches: &'a ArgMatches) -> Option<(Vec<&'a str>, Origin)> {
    if setting.shape == Shape::Switch && matches.get_flag(setting.opposite.as_str()) {
        return Some((vec!["false"], Origin::Flag));
    }
    let origin = match matches.value_source(setting.name)? {
        ValueSource::CommandLine => Origin::Flag,
        _ => Origin::Variable,
    };
    let texts = matches.get_many::<String>(setting.name)?;
    Some((texts.map(String::as_str).collect(), origin))
}

/// Returns an error of the command line, of which `reason` is a line.
fn usage_error(reason: impl fmt::Display) -> clap::Error {
    let line = format!("{}\n", Escaped(reason));
    clap::Error::raw(ErrorKind::ValueValidation, line)
}

/// Returns the text of an error about settings, with their flags.
pub(super) fn in_flags(error: &ServeError) -> String {
    let flag = |name: &str| match find(name) {
        Some((_, setting)) => format!("--{}", setting.flag),
        None => name.to_owned(),
    };
    match error {
        ServeError::Setting { name, remedy } => format!("{} cannot be used: {remedy}", flag(name)),
        ServeError::Conflict {
            names: [first, second],
            remedy,
        } => {
            let (first, second) = (flag(first), flag(second));
            format!("{first} and {second} do not fit together: {remedy}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Args as _;
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::PerMessageDeflate;
    use crate::config::{BindAddress, HttpVersions, LifespanMode};

    /// Reads flags, and leaves the environment of the test alone.
    fn read(args: &[&str]) -> Result<Flags, clap::Error> {
        let matches = Flags::augment_args(Command::new("test"))
            .no_binary_name(true)
            .mut_args(|arg| arg.env(None::<&str>))
            .try_get_matches_from(args)?;
        Flags::from_arg_matches(&matches)
    }

    fn config(args: &[&str]) -> Config {
        read(args).unwrap().into_config()
    }

    #[test]
    fn no_flags_give_the_default_config() {
        let flags = read(&[]).unwrap();
        assert!(flags.origins.is_empty());
        let expected = format!("{:?}", Config::default());
        assert_eq!(format!("{:?}", flags.into_config()), expected);
    }

    #[test]
    fn each_flag_reaches_its_field() {
        let config = config(&[
            "--host=::1",
            "--port=0",
            "--threads=3",
            "--root-path=/api/",
            "--log-level=error",
            "--access-log",
            "--no-server-header",
            "--date-header=false",
            "--header=x-one: 1",
            "--header=x-two:b:c",
            "--http=2",
            "--lifespan=on",
            "--timeout-keep-alive=0.5",
            "--timeout-graceful-shutdown=none",
            "--max-request-head=8KiB",
            "--ws-per-message-deflate=context-takeover",
            "--ws-ping-interval=0",
        ]);
        assert_eq!(config.listen.host, "::1");
        assert_eq!(config.listen.port, 0);
        assert_eq!(config.process.threads.unwrap().get(), 3);
        assert_eq!(config.process.lifespan, LifespanMode::On);
        assert_eq!(config.proxy.root_path, "/api");
        assert_eq!(config.log.level, [LevelFilter::ERROR.into()]);
        assert!(config.log.access);
        assert!(!config.http.server_header);
        assert!(!config.http.date_header);
        assert_eq!(config.http.headers.len(), 2);
        assert_eq!(config.http.headers[1].1, "b:c");
        assert_eq!(config.http.versions, HttpVersions::Http2);
        assert_eq!(config.timeouts.keep_alive, Duration::from_millis(500));
        assert_eq!(config.timeouts.graceful_shutdown, None);
        assert_eq!(config.limits.max_request_head, 8192);
        let deflate = PerMessageDeflate::ContextTakeover;
        assert_eq!(config.websocket.per_message_deflate, deflate);
        assert_eq!(config.websocket.ping_interval, None);
    }

    #[test]
    fn a_list_is_given_in_one_flag_or_in_several() {
        for args in [
            &["--bind=127.0.0.1:1,unix:/a"][..],
            &["--bind", "127.0.0.1:1", "--bind", "unix:/a"],
        ] {
            let addresses = config(args).listen.addresses();
            let unix = BindAddress::Unix("/a".into());
            assert_eq!(addresses, [BindAddress::Tcp("127.0.0.1".into(), 1), unix]);
        }
    }

    #[test]
    fn the_later_of_a_switch_and_its_opposite_wins() {
        assert!(!config(&["--access-log", "--no-access-log"]).log.access);
        assert!(config(&["--no-access-log", "--access-log"]).log.access);
    }

    #[test]
    fn names_and_values_of_uvicorn_are_understood() {
        let config = config(&[
            "--uds=/run/a.sock",
            "--log-level=WARNING",
            "--ws-per-message-deflate=false",
        ]);
        assert_eq!(config.listen.uds.unwrap().to_str(), Some("/run/a.sock"));
        assert_eq!(config.log.level, [LevelFilter::WARN.into()]);
        assert_eq!(config.websocket.per_message_deflate, PerMessageDeflate::Off);
    }

    #[test]
    fn settings_that_do_not_fit_together_are_named_by_their_flags() {
        let error = read(&["--bind=[::1]:80", "--port=81"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error: --port and --bind do not fit together: give all addresses as `bind`, each with \
             its port\n"
        );
    }

    #[test]
    fn wrong_values_are_refused() {
        for flag in [
            "--host=a/b",
            "--port=65536",
            "--bind=8000",
            "--uds-mode=999",
            "--uds-owner=www-data",
            "--threads=0",
            "--threads=1025",
            "--root-path=api",
            "--root-path=/api?x",
            "--log-level=loud",
            "--log-level==info",
            "--access-log=maybe",
            "--header=no-colon",
            "--header=bad name:1",
            "--header=transfer-encoding:chunked",
            "--backlog=0",
            "--http=3",
            "--lifespan=maybe",
            "--timeout-keep-alive=-1",
            "--timeout-request-head=0",
            "--timeout-graceful-shutdown=never",
            "--timeout-graceful-shutdown=-1",
            "--max-request-head=8191",
            "--max-request-fields=0",
            "--http2-max-concurrent-streams=0",
            "--timeout-write=0",
            "--timeout-half-close=-1",
            "--ws-max-size=0",
            "--ws-per-message-deflate=maybe",
            "--ws-ping-interval=soon",
        ] {
            assert!(read(&[flag]).is_err(), "{flag}");
        }
    }
}
