//! The flags of a command line that serves an application inside a lint, or inside a recorder.

use std::path::{Path, PathBuf};

use callgate::BoxApp;
use callgate::rule::Role;
use callgate_cli::{AppWrapper, Start};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::{Lint, RecordFile, Recorder, ViolationCount};

/// The flags `--lint` and `--record`: they serve an application inside a [`Lint`], and inside a [`Recorder`].
///
/// A program with `callgate_server::cli::main(app)` has them by one more line:
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use callgate_conformance::CheckFlags;
/// use callgate_server::cli::Program;
/// # async fn app(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> {
/// #     Err(callgate::AppError::Unsupported)
/// # }
///
/// fn main() -> ExitCode {
///     Program::new(app).flags::<CheckFlags>().main()
/// }
/// ```
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Checks")]
pub struct CheckFlags {
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

    /// What the lint has counted.
    #[arg(skip)]
    count: Option<ViolationCount>,
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
    /// Returns the file or the directory that exchanges are recorded to.
    #[must_use]
    pub fn recording(&self) -> Option<&Path> {
        self.record.as_deref()
    }
}

impl AppWrapper for CheckFlags {
    fn wrap(&mut self, mut app: BoxApp, _: Start) -> Result<BoxApp, String> {
        if let Some(mode) = self.lint {
            let lint = Lint::new(app);
            self.count = Some(lint.count());
            app = match mode {
                LintMode::Log => BoxApp::new(lint),
                LintMode::Strict => BoxApp::new(lint.strict()),
            };
        }
        if let Some(path) = &self.record {
            let file = RecordFile::open(path)
                .map_err(|error| format!("cannot record to {}: {error}", path.display()))?;
            let recorder = Recorder::new(app, file);
            app = match self.record_credentials {
                true => BoxApp::new(recorder.with_credentials()),
                false => BoxApp::new(recorder),
            };
        }
        Ok(app)
    }

    fn ended(&mut self) {
        if let Some(count) = &self.count {
            tracing::info!(
                "Rules were broken {} times: {} by the application, {} by the server",
                count.total(),
                count.of(Role::Application),
                count.of(Role::Server),
            );
        }
    }
}
