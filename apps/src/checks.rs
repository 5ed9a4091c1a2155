//! Serves an application with a lint, or with a recorder.

use std::path::PathBuf;
use std::process::ExitCode;

use callgate::BoxApp;
use callgate::rule::Role;
use callgate_cli::STARTUP;
use callgate_conformance::{Lint, RecordFile, Recorder};
use callgate_server::Monitoring;
use callgate_server::cli::{Flags, Program};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The flags for the lint and the recorder.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Checks")]
pub(crate) struct CheckFlags {
    /// Check every message against the rules of the protocol, and log each violation; `strict` also
    /// fails the exchange
    #[arg(long, value_parser = lint_mode(), value_name = "MODE", num_args = 0..=1)]
    #[arg(
        require_equals = true,
        default_missing_value = "log",
        hide_possible_values = true
    )]
    #[arg(env = "CALLGATE_LINT")]
    lint: Option<LintMode>,

    /// Write the scope and the messages of every exchange to this file, as JSON Lines, with
    /// credentials masked
    #[arg(long, value_name = "FILE")]
    #[arg(env = "CALLGATE_RECORD")]
    record: Option<PathBuf>,

    /// Do not mask authorization, cookie, proxy-authorization and set-cookie in the recording
    #[arg(long, requires = "record")]
    record_credentials: bool,
}

/// The reaction of the lint to an exchange that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LintMode {
    /// The exchange continues.
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

impl CheckFlags {
    /// Serves `app` inside the lint and the recorder that the flags select.
    pub(crate) fn run(self, mut app: BoxApp, flags: Flags, monitoring: Monitoring) -> ExitCode {
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
            let file = match RecordFile::open(&path) {
                Ok(file) => file,
                Err(error) => {
                    let path = path.display();
                    let remedy = "choose another file with --record";
                    let reason = format!("cannot record to {path}: {error} ({remedy})");
                    return callgate_cli::fail(STARTUP, reason);
                }
            };
            let recorder = Recorder::new(app, file);
            app = match self.record_credentials {
                true => BoxApp::new(recorder.with_credentials()),
                false => BoxApp::new(recorder),
            };
        }
        let status = Program::new(app).monitoring(monitoring).run(flags);
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
