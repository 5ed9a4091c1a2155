//! The settings of the log.

use tracing::level_filters::LevelFilter;

use super::kind::{Many, Parsed};
use super::setting::settings;
use super::values::SWITCH;

settings! {
    /// The log of the server.
    log: Log {
        /// The least severe events to log: trace, debug, info, warn, error or off; may be given for a
        /// target too, as in `info,callgate::access=off`.
        ///
        /// A target is the beginning of a module's path, or a name that the module has given. The level
        /// of the longest beginning applies. The command line uses this setting. A program of its own
        /// sets up its log by `tracing`.
        log_level => level: [LogLevel] = "info" as LEVELS;

        /// Log each exchange when its response begins.
        ///
        /// A line costs more than a small response.
        access_log => access: (bool) = "false" as SWITCH;
    }
}

/// The least severe events of a target that are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLevel {
    /// The beginning of the target; `None` for all targets.
    pub target: Option<String>,
    /// The least severe level.
    pub level: LevelFilter,
}

impl From<LevelFilter> for LogLevel {
    /// Returns the level of all targets.
    fn from(level: LevelFilter) -> Self {
        Self {
            target: None,
            level,
        }
    }
}

const LEVELS: Many<LogLevel> = Many {
    name: "LEVEL",
    separator: ',',
    parse: log_level,
    show: |level| match &level.target {
        Some(target) => format!("{target}={}", level.level),
        None => level.level.to_string(),
    },
};

fn log_level(text: &str) -> Parsed<LogLevel> {
    let (target, level) = match text.split_once('=') {
        Some(("", _)) => return Err(LEVEL_REMEDY),
        Some((target, level)) => (Some(target.to_owned()), level),
        None => (None, text),
    };
    let level = level_filter(level).ok_or(LEVEL_REMEDY)?;
    Ok(LogLevel { target, level })
}

const LEVEL_REMEDY: &str =
    "give trace, debug, info, warn, error or off, or a target's level, such as my_app=debug";

/// Reads a level. `warning` and `critical` are uvicorn's names.
fn level_filter(text: &str) -> Option<LevelFilter> {
    Some(match text.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "critical" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        _ => return None,
    })
}
