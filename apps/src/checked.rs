//! Serving with every message checked, or recorded.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use callgate::BoxApp;
use callgate::rule::Role;
use callgate_cli::STARTUP;
use callgate_conformance::{Lint, Recorder};
use callgate_server::cli::{self, Flags};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// What is done with the messages beside serving them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Checks")]
pub(crate) struct Checks {
    /// Check every message against the rules of the protocol, and log what breaks one; `strict`
    /// also fails the exchange
    #[arg(long, value_parser = lint_mode(), value_name = "MODE", num_args = 0..=1)]
    #[arg(
        require_equals = true,
        default_missing_value = "log",
        hide_possible_values = true
    )]
    #[arg(env = "CALLGATE_LINT", hide_env = true)]
    lint: Option<LintMode>,

    /// Write the scope and the messages of every exchange to this file, as JSON Lines
    #[arg(long, value_name = "FILE")]
    #[arg(env = "CALLGATE_RECORD", hide_env = true)]
    record: Option<PathBuf>,
}

/// What happens to an exchange in which a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LintMode {
    /// It goes on.
    Log,
    /// It fails.
    Strict,
}

fn lint_mode() -> impl TypedValueParser<Value = LintMode> {
    let names = ["log", "strict"].map(PossibleValue::new);
    PossibleValuesParser::new(names).map(|name| match &*name {
        "strict" => LintMode::Strict,
        _ => LintMode::Log,
    })
}

/// The file of a recording. What was in it before goes when the first line comes: not because of a
/// server that cannot even listen.
struct Recording {
    file: BufWriter<File>,
    is_begun: bool,
}

impl Recording {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Self {
            file: BufWriter::new(file),
            is_begun: false,
        })
    }
}

impl Write for Recording {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !self.is_begun {
            let file = self.file.get_ref();
            // A pipe or a terminal has no length.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            self.is_begun = true;
        }
        self.file.write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Checks {
    /// Serves `app` with what is asked for around it.
    pub(crate) fn run(self, mut app: BoxApp, flags: Flags) -> ExitCode {
        let mut count = None;
        if let Some(mode) = self.lint {
            let lint = Lint::new(app);
            count = Some(lint.count());
            app = match mode {
                LintMode::Log => BoxApp::new(lint),
                LintMode::Strict => BoxApp::new(lint.strict()),
            };
        }
        if let Some(path) = self.record {
            let recording = match Recording::open(&path) {
                Ok(recording) => recording,
                Err(error) => {
                    let path = path.display();
                    let remedy = "choose another file with --record";
                    let reason = format!("cannot record to {path}: {error} ({remedy})");
                    return callgate_cli::fail(STARTUP, reason);
                }
            };
            app = BoxApp::new(Recorder::new(app, recording));
        }
        let status = cli::run(app, flags);
        if let Some(count) = count {
            tracing::info!(
                "Rules were broken {} times: {} by the application, {} by the server",
                count.total(),
                count.of(Role::Application),
                count.of(Role::Server),
            );
        }
        status
    }
}
