//! The log of the command line: its levels, its form, and its lines on standard error or in a file.

use std::fmt;
use std::io::{self, Write, stderr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use callgate_cli::fail;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::access_log::ACCESS_LOG_TARGET;
use crate::config::{AccessLogFormat, Log, LogFormat, LogLevel, LogTime};
use crate::error::ServeError;
use crate::line_writer::LineWriter;
use crate::log_file::LogFile;
use crate::shutdown::ServerHandle;
use crate::trace;

/// The longest time for which the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The log of the process.
#[derive(Debug)]
pub(super) struct ServerLog {
    writer: LineWriter,
    /// `None` for standard error.
    file: Option<Arc<LogFile>>,
}

impl ServerLog {
    /// Sets the log of the process up.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened.
    pub(super) fn start(settings: &Log) -> Result<Self, ServeError> {
        let name = "the log";
        let file = settings.file.as_ref();
        let file = file
            .map(|path| LogFile::open(name, "log_file", path).map(Arc::new))
            .transpose()?;
        let (writer, is_coloured) = match &file {
            Some(file) => (file.writer().clone(), false),
            None => {
                let writer = LineWriter::start(name, stderr()).map_err(ServeError::LogThread)?;
                (writer, callgate_cli::is_coloured(&stderr()))
            }
        };
        let lines = Lines {
            settings,
            writer: writer.clone(),
            is_coloured,
        };
        // This fails in a program that has set up its own logging, which is kept.
        let _ = tracing_subscriber::registry()
            .with(log_filter(&settings.level))
            .with(lines.layer())
            .try_init();
        Ok(Self { writer, file })
    }

    /// Opens the file again when `handle` is reloaded.
    pub(super) fn reopen_at_reload(&self, handle: &ServerHandle) {
        if let Some(file) = &self.file {
            handle.add_log_file(file.clone());
        }
    }

    /// Waits until the last lines have been written, but not for long. A line that the program logs after
    /// that is waited for as well.
    pub(super) fn finish(&self) {
        self.writer.flush_at_end(LAST_LINES);
    }

    /// Writes an error on standard error, as [`fail`] does, and does not wait for long if nobody reads it.
    pub(super) fn fail(&self, status: u8, reason: String) -> ExitCode {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            fail(status, reason);
            // Nobody waits any more after the time.
            let _ = done.send(());
        });
        let _ = is_done.recv_timeout(LAST_LINES);
        ExitCode::from(status)
    }
}

/// Returns the filter of log levels, as they are in [`Config`](crate::Config). The last level of a target applies, and INFO
/// where none is given.
///
/// The spans of exchanges ([`trace`]) are left out unless a level is given for them.
pub fn log_filter(levels: &[LogLevel]) -> Targets {
    // The spans of exchanges have a cost, and the lines of the application do not need them.
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target(trace::TARGET, LevelFilter::OFF);
    levels
        .iter()
        .fold(filter, |filter, level| match &level.target {
            Some(target) => filter.with_target(target, level.level),
            None => filter.with_default(level.level),
        })
}

/// What the lines are made of.
struct Lines<'a> {
    settings: &'a Log,
    writer: LineWriter,
    is_coloured: bool,
}

impl Lines<'_> {
    /// Returns the layer that writes events as lines.
    fn layer<S>(self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Self {
            settings,
            writer,
            is_coloured,
        } = self;
        let format = Format::default()
            .with_target(false)
            .with_timer(Clock(settings.time));
        let is_access_raw = settings.access_format != AccessLogFormat::Text;
        // A log whose reader has closed the pipe must not cause a panic.
        let layer = layer()
            .with_writer(writer)
            .log_internal_errors(false)
            .with_ansi(is_coloured);
        match (settings.format, settings.time) {
            (LogFormat::Text, LogTime::None) => {
                let inner = format.without_time().compact();
                Box::new(layer.event_format(Lined::new(inner, is_access_raw)))
            }
            (LogFormat::Text, _) => {
                let inner = format.compact();
                Box::new(layer.event_format(Lined::new(inner, is_access_raw)))
            }
            (LogFormat::Json, LogTime::None) => {
                let inner = json(format.without_time());
                let layer = layer.fmt_fields(JsonFields::new());
                Box::new(layer.event_format(Lined::new(inner, is_access_raw)))
            }
            (LogFormat::Json, _) => {
                let inner = json(format);
                let layer = layer.fmt_fields(JsonFields::new());
                Box::new(layer.event_format(Lined::new(inner, is_access_raw)))
            }
        }
    }
}

fn json<F, T>(format: Format<F, T>) -> Format<tracing_subscriber::fmt::format::Json, T> {
    format.with_target(true).json().flatten_event(true)
}

/// Formats events as lines. A line of the access log in the form `combined` or `json` is complete already, and gets
/// neither a time nor a level.
struct Lined<F> {
    inner: F,
    is_access_raw: bool,
}

impl<F> Lined<F> {
    fn new(inner: F, is_access_raw: bool) -> Self {
        Self {
            inner,
            is_access_raw,
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Lined<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.is_access_raw || event.metadata().target() != ACCESS_LOG_TARGET {
            return self.inner.format_event(context, writer, event);
        }
        event.record(&mut Message(&mut writer));
        writer.write_char('\n')
    }
}

/// Writes the message of an event, without anything else.
struct Message<'a, 'b>(&'a mut Writer<'b>);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// The time of a line, in RFC 3339.
struct Clock(LogTime);

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = jiff::Timestamp::now();
        match self.0 {
            LogTime::Local => {
                let now = now.to_zoned(jiff::tz::TimeZone::system());
                write!(writer, "{}", now.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z"))
            }
            LogTime::Utc | LogTime::None => write!(writer, "{now:.6}"),
        }
    }
}

/// Hands each line over as a whole.
impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

pub(crate) struct Line<'a>(&'a LineWriter);

impl Write for Line<'_> {
    /// Takes a whole line: the layer writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
