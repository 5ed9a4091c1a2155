//! The access log: a line for each exchange, written when the exchange has ended.

mod combined;
mod json;
mod text;
mod time;

use std::sync::Arc;

use crate::config::{AccessLogFormat, Log};
use crate::error::ServeError;
use crate::log_file::LogFile;
use crate::record::ExchangeRecord;

pub(crate) use self::json::tls_name;
pub(crate) use self::text::Client;

/// The target of the lines in the log of the server.
pub const ACCESS_LOG_TARGET: &str = "callgate::access";

/// The access log of a server.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: AccessLogFormat,
    /// `None` for the log of the server.
    file: Option<Arc<LogFile>>,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened.
    pub(crate) fn open(settings: &Log) -> Result<Self, ServeError> {
        let mut log = Self::to_server_log(settings.access_format);
        if settings.access
            && let Some(path) = &settings.access_file
        {
            let file = LogFile::open("the access log", "access_log_file", path)?;
            log.file = Some(Arc::new(file));
        }
        Ok(log)
    }

    /// Creates a log that goes to the log of the server.
    pub(crate) fn to_server_log(format: AccessLogFormat) -> Self {
        Self { format, file: None }
    }

    /// Writes the line of an exchange that has ended.
    pub(crate) fn write(&self, record: &ExchangeRecord) {
        let line = match self.format {
            AccessLogFormat::Text => text::Text(record).to_string(),
            AccessLogFormat::Combined => combined::Combined(record).to_string(),
            AccessLogFormat::Json => json::line(record),
        };
        match &self.file {
            None => tracing::info!(target: ACCESS_LOG_TARGET, "{line}"),
            Some(file) => {
                // The log of the server has the time of its lines.
                let line = match self.format {
                    AccessLogFormat::Text => format!("{} {line}\n", time::rfc3339(record.time)),
                    _ => line + "\n",
                };
                file.writer().write_line(line.as_bytes());
            }
        }
    }

    /// Returns whether the log of the server has lines that say why a request was rejected.
    pub(crate) fn tells_reasons(&self) -> bool {
        self.file.is_none() && !matches!(self.format, AccessLogFormat::Combined)
    }

    /// Returns the file of the log, if it has one of its own.
    pub(crate) fn file(&self) -> Option<Arc<LogFile>> {
        self.file.clone()
    }
}
