//! The `callgate` command: serves the example applications.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use callgate_apps::{Entry, Settings};
use callgate_conformance::CheckFlags;
use callgate_inspector::InspectFlags;
use callgate_server::cli::{self, Flags, Program, SettingsCommand};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory as _, Parser, Subcommand};

/// Serves the example applications of Callgate over HTTP/1.1, HTTP/2 and WebSocket
#[derive(Debug, Parser)]
#[command(
    name = "callgate",
    version,
    after_help = "\
`callgate` without a command is `callgate run gallery`; `callgate run --help` lists the flags."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an application
    #[command(next_line_help = true)]
    Run {
        /// The name of an application: see `callgate apps`
        #[arg(value_parser = application(), default_value = "gallery", hide_possible_values = true)]
        app: &'static Entry,
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        checks: CheckFlags,
        #[command(flatten)]
        inspect: Box<InspectFlags>,
    },
    /// List the applications
    Apps,
    /// Ask a server with the same settings whether it is ready
    Healthcheck {
        #[command(flatten)]
        flags: Box<Flags>,
    },
    #[command(flatten)]
    Settings(SettingsCommand),
}

fn main() -> ExitCode {
    match cli::parse_from(with_command(std::env::args_os())) {
        Ok(Cli {
            command:
                Command::Run {
                    app,
                    flags,
                    settings,
                    checks,
                    inspect,
                },
        }) => Program::new((app.app)(&settings))
            .monitoring(settings.monitoring)
            .wrapper(checks)
            .wrapper(*inspect)
            .run(*flags),
        Ok(Cli {
            command: Command::Apps,
        }) => list(),
        Ok(Cli {
            command: Command::Healthcheck { flags },
        }) => cli::healthcheck(*flags),
        Ok(Cli {
            command: Command::Settings(settings),
        }) => settings.run(Cli::command()),
        Err(status) => status,
    }
}

/// Inserts the command `run` where the arguments begin with a flag.
fn with_command(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.collect();
    let has_command = args.get(1).is_some_and(|first| {
        let is_flag = first.as_encoded_bytes().starts_with(b"-");
        !is_flag
            || ["-h", "--help", "-V", "--version"]
                .iter()
                .any(|flag| first == flag)
    });
    if !has_command {
        args.insert(args.len().min(1), "run".into());
    }
    args
}

fn application() -> impl TypedValueParser<Value = &'static Entry> {
    let names = callgate_apps::all().iter().map(|entry| entry.name);
    PossibleValuesParser::new(names)
        .map(|name| callgate_apps::find(&name).expect("one of the possible values"))
}

fn list() -> ExitCode {
    let entries = callgate_apps::all();
    let width = entries.iter().map(|entry| entry.name.len()).max();
    let width = width.unwrap_or_default();
    let mut stdout = std::io::stdout().lock();
    for Entry { name, summary, .. } in entries {
        if writeln!(stdout, "{name:width$}  {summary}").is_err() {
            // The reader has closed its end of the pipe.
            break;
        }
    }
    ExitCode::SUCCESS
}
