//! The lines of the server, in the logging of Python.

use std::fmt::{self, Write as _};

use callgate_server::cli::log_filter;
use callgate_server::{ACCESS_LOG_TARGET, Config};
use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::asgi::formatted_by;

/// The loggers: that of the server, and that of the access log.
static LOGGERS: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();

/// Passes the lines of the server on to the loggers `callgate.error` and `callgate.access`. A line about a call that has
/// ended by an exception of the application has this exception as its `exc_info`.
pub(crate) fn start(py: Python<'_>, config: &Config) -> PyResult<()> {
    let get = py.import("logging")?.getattr("getLogger")?;
    let logger = |name| PyResult::Ok(get.call1((name,))?.unbind());
    LOGGERS.get_or_try_init(py, || {
        PyResult::Ok([logger("callgate.error")?, logger("callgate.access")?])
    })?;
    // This fails in a process that has logged before, whose settings stay.
    let _ = tracing_subscriber::registry()
        .with(ToPython.with_filter(log_filter(&config.log.level)))
        .try_init();
    Ok(())
}

struct ToPython;

impl<S: Subscriber> Layer<S> for ToPython {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        let ((), exception) = formatted_by(|| event.record(&mut line));
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            Level::DEBUG | Level::TRACE => 10,
        };
        Python::attach(|py| {
            let Some(loggers) = LOGGERS.get(py) else {
                return;
            };
            let logger = loggers[usize::from(metadata.target() == ACCESS_LOG_TARGET)].bind(py);
            if let Err(error) = log(logger, level, &line.text(), exception) {
                error.write_unraisable(py, Some(logger));
            }
        });
    }
}

/// Logs a line, and the exception that it is about.
fn log(
    logger: &Bound<'_, PyAny>,
    level: u8,
    text: &str,
    exception: Option<Py<PyBaseException>>,
) -> PyResult<()> {
    let py = logger.py();
    let keywords = exception.map(|exception| {
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "exc_info"), exception)?;
        PyResult::Ok(keywords)
    });
    let keywords = keywords.transpose()?;
    let arguments = (level, "%s", text);
    let logged = logger.call_method(intern!(py, "log"), arguments, keywords.as_ref());
    logged.map(drop)
}

/// The message of an event, and its other fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn text(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
