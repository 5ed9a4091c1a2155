//! What the applications can be told.

use std::process::ExitCode;

use clap::Parser;

/// Settings of the applications: where their database and their upstream services are.
///
/// Each is a flag of `callgate run` and an environment variable. Secrets come from the environment
/// only, since everyone on a machine can read command lines.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Applications")]
#[non_exhaustive]
pub struct Settings {}

impl Settings {
    /// Those that the environment says.
    ///
    /// # Errors
    ///
    /// The exit status, after a line on standard error, if one is wrong.
    pub fn from_env() -> Result<Self, ExitCode> {
        #[derive(Parser)]
        struct FromEnv {
            #[command(flatten)]
            settings: Settings,
        }
        let FromEnv { settings } = callgate_server::cli::parse_from(["callgate".into()])?;
        Ok(settings)
    }
}
