//! The flags of `callgate run` that check every message or record it.

#[cfg(unix)]
use std::fs::Permissions;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
#[cfg(unix)]
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use callgate::BoxApp;
use callgate::rule::Role;
use callgate_cli::STARTUP;
use callgate_conformance::{Lint, Recorder};
use callgate_server::cli::{self, Flags};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The flags, as clap parses them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "CheckFlags")]
pub(crate) struct CheckFlags {
    /// Check every message against the rules of the protocol, and log each violation; `strict` also
    /// fails the exchange
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

/// What happens to an exchange that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LintMode {
    /// The exchange goes on.
    Log,
    /// The exchange fails.
    Strict,
}

fn lint_mode() -> impl TypedValueParser<Value = LintMode> {
    let names = ["log", "strict"].map(PossibleValue::new);
    PossibleValuesParser::new(names).map(|name| match &*name {
        "strict" => LintMode::Strict,
        _ => LintMode::Log,
    })
}

/// The file of a recording.
///
/// An earlier recording is kept until the first line is written, so that a server which cannot listen
/// does not erase it.
struct RecordingFile {
    file: BufWriter<File>,
    is_begun: bool,
}

impl RecordingFile {
    /// Opens the file for its owner only: a recording has what clients send, credentials among it.
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(path)?;
        // The mode above is that of a new file only. A pipe and a terminal keep their mode.
        #[cfg(unix)]
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(Self {
            file: BufWriter::new(file),
            is_begun: false,
        })
    }
}

impl Write for RecordingFile {
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

impl CheckFlags {
    /// Serves `app`, wrapped in the lint and the recorder that the flags ask for.
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
            let recording = match RecordingFile::open(&path) {
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
