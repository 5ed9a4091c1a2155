//! The lines of the server, in the logging of Python.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

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

/// The most lines that wait for Python.
const MOST_WAITING: usize = 10_000;

thread_local! {
    /// Where the lines of this thread are passed on; to Python at once if it is `None`.
    static PASSED_ON: RefCell<Option<SyncSender<Record>>> = const { RefCell::new(None) };
}

/// Calls `f`, and has another thread pass the lines on that are logged on this one meanwhile. So this thread waits for Python
/// only when very many lines wait.
pub(crate) fn pass_on<T>(f: impl FnOnce() -> T) -> T {
    let (sender, records) = sync_channel(MOST_WAITING);
    let name = "callgate-log";
    let run = move || Python::attach(|py| log_all(py, name, records));
    // Without a thread, the lines go to Python at once.
    let thread = thread::Builder::new().name(name.into()).spawn(run).ok();
    if thread.is_some() {
        PASSED_ON.set(Some(sender));
    }
    let result = f();
    PASSED_ON.set(None);
    if let Some(thread) = thread {
        // It does nothing more than end.
        let _ = thread.join();
    }
    result
}

fn log_all(py: Python<'_>, name: &str, mut records: Receiver<Record>) {
    // Records of `logging` have the name of their thread.
    let named = py
        .import("threading")
        .and_then(|threading| threading.call_method0("current_thread"))
        .and_then(|thread| thread.setattr("name", name));
    if let Err(error) = named {
        error.write_unraisable(py, None);
    }
    loop {
        let waiting = &mut records;
        let Ok(record) = py.detach(move || waiting.recv()) else {
            return;
        };
        for record in iter::once(record).chain(records.try_iter()) {
            record.log(py);
        }
    }
}

/// A line of the server.
#[derive(Debug)]
struct Record {
    is_access: bool,
    level: u8,
    text: String,
    /// The exception that the line is about.
    exception: Option<Arc<Py<PyBaseException>>>,
}

impl Record {
    fn log(self, py: Python<'_>) {
        let Some(loggers) = LOGGERS.get(py) else {
            return;
        };
        let logger = loggers[usize::from(self.is_access)].bind(py);
        if let Err(error) = self.log_to(logger) {
            error.write_unraisable(py, Some(logger));
        }
    }

    fn log_to(self, logger: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = logger.py();
        let keywords = self.exception.map(|exception| {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "exc_info"), exception.bind(py))?;
            PyResult::Ok(keywords)
        });
        let keywords = keywords.transpose()?;
        let arguments = (self.level, "%s", self.text);
        let logged = logger.call_method(intern!(py, "log"), arguments, keywords.as_ref());
        logged.map(drop)
    }
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
        let record = Record {
            is_access: metadata.target() == ACCESS_LOG_TARGET,
            level,
            text: line.text(),
            exception,
        };
        let sender = PASSED_ON.with_borrow(Clone::clone);
        match sender {
            Some(sender) => drop(sender.send(record)),
            None => Python::attach(|py| record.log(py)),
        }
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
