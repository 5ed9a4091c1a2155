//! The settings of the log.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::kind::{Choice, Many, Parsed};
use super::setting::settings;
use super::values::{SWITCH, path};

settings! {
    /// The log of the server.
    log: Log {
        /// The least severe events to log: trace, debug, info, warn, error or off; may be given for a
        /// target too, as in `info,callgate::access=off`.
        ///
        /// A target is the beginning of a module's path, or a name that the module has given. The level
        /// of the longest beginning applies. The command line uses this setting, and reads the variable
        /// `RUST_LOG` if only that is set. A program of its own sets up its log by `tracing`.
        log_level => level: [LogLevel] = "info" as LEVELS;

        /// The form of the lines of the server's log: text or json.
        ///
        /// The command line uses this setting.
        log_format => format: (LogFormat) = "text" as FORMAT;

        /// The time of the lines of the server's log: utc, local or none.
        ///
        /// The command line uses this setting.
        log_time => time: (LogTime) = "utc" as TIME;

        /// The file to which the server's log is appended; standard error without one.
        ///
        /// The file is opened again at SIGHUP. The command line uses this setting.
        log_file => file: (Option<PathBuf>) = "none" as path("FILE");

        /// Log each exchange when it has ended.
        ///
        /// An exchange has ended when its response has been written, when the session of its WebSocket is
        /// over, or when neither will happen. The lines of requests that the server rejects are among them.
        /// The log never delays an exchange: a line that finds no room, because nothing takes the lines
        /// before it, is lost, and the number of lines that were lost is logged.
        access_log => access: (bool) = "false" as SWITCH;

        /// Give each request an identifier, in the field `x-request-id`.
        ///
        /// The identifier of a trusted proxy is taken (`forwarded-allow-ips`), if it has at most 128 letters,
        /// digits and `-._~+/=:@`. Any other request gets a new one. The application finds the identifier in
        /// the fields of the request. The response has it too, unless the application has set one, and so has
        /// the access log.
        request_id => request_id: (bool) = "false" as SWITCH;

        /// The form of the lines of the access log: text, combined or json.
        ///
        /// `text` is uvicorn's form, with the duration and with the outcome of an exchange that is not
        /// complete; `combined` that of Apache and nginx; `json` has an object a line, with all that is
        /// known. Times of the access log are in UTC.
        access_log_format => access_format: (AccessLogFormat) = "text" as ACCESS_FORMAT;

        /// The file to which the access log is appended; the server's log without one.
        ///
        /// The file is opened again at SIGHUP.
        access_log_file => access_file: (Option<PathBuf>) = "none" as path("FILE");
    }
}

/// The form of the lines of the server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Text.
    Text,
    /// An object of JSON a line.
    Json,
}

const FORMAT: Choice<LogFormat> = Choice {
    name: "FORMAT",
    words: &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    remedy: "give text or json",
};

/// The time of the lines of the server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogTime {
    /// The time in UTC.
    Utc,
    /// The time in the zone of the system, with its offset.
    Local,
    /// No time, for a log to which its reader adds the time.
    None,
}

const TIME: Choice<LogTime> = Choice {
    name: "ZONE",
    words: &[
        ("utc", LogTime::Utc),
        ("local", LogTime::Local),
        ("none", LogTime::None),
    ],
    remedy: "give utc, local or none",
};

/// The form of the lines of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLogFormat {
    /// The form of uvicorn.
    Text,
    /// The combined form of Apache and nginx.
    Combined,
    /// An object of JSON a line.
    Json,
}

const ACCESS_FORMAT: Choice<AccessLogFormat> = Choice {
    name: "FORMAT",
    words: &[
        ("text", AccessLogFormat::Text),
        ("combined", AccessLogFormat::Combined),
        ("json", AccessLogFormat::Json),
    ],
    remedy: "give text, combined or json",
};

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
