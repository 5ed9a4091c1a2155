//! The lines of the server, in the logging of Python.

use std::fmt::{self, Write as _};

use callgate_server::cli::log_filter;
use callgate_server::{ACCESS_LOG_TARGET, Config};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The loggers: that of the server, and that of the access log.
static LOGGERS: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();

/// Passes the lines of the server on to the loggers `callgate.error` and `callgate.access`.
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
        event.record(&mut line);
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
            let logged = logger.call_method1(intern!(py, "log"), (level, "%s", line.text()));
            if let Err(error) = logged {
                error.write_unraisable(py, Some(logger));
            }
        });
    }
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
