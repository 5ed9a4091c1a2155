//! What the modules in Python call.

use std::sync::{Arc, Mutex, OnceLock};

use callgate_drive::Escaped;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::mpsc;

use super::{NewCall, serve};
use crate::asgi::{Interpreter, Offer};
use crate::host::Host;

/// The application's side of the thread.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate_in_rust")]
pub(super) struct Native {
    /// `None` once it runs.
    calls: Mutex<Option<mpsc::UnboundedReceiver<NewCall>>>,
    offer: Offer,
    /// The application, once it runs.
    application: OnceLock<Arc<Interpreter>>,
}

impl Native {
    pub(super) fn new(calls: mpsc::UnboundedReceiver<NewCall>, offer: Offer) -> Self {
        Self {
            calls: Mutex::new(Some(calls)),
            offer,
            application: OnceLock::new(),
        }
    }
}

#[pymethods]
impl Native {
    /// Serves the calls of the program in the event loop that runs. Returns a future of asyncio that is done when the
    /// program has dropped the application.
    fn start<'py>(&self, parts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let calls = self.calls.lock().expect("no panic under this lock").take();
        let Some(mut calls) = calls else {
            return Err(PyRuntimeError::new_err("an application starts only once"));
        };
        let (guest, app) = Host::start(parts, self.offer)?;
        let _ = self.application.set(app.interpreter());
        let app = Arc::new(app);
        let done = parts.getattr("event_loop")?.call_method0("create_future")?;
        let tell = done.clone().unbind();
        guest.spawn(async move {
            while let Some(call) = calls.recv().await {
                tokio::task::spawn_local(serve(app.clone(), call));
            }
            // The future is cancelled when the event loop ends by itself.
            Python::attach(|py| drop(tell.call_method1(py, "set_result", (py.None(),))));
        });
        Ok(done)
    }

    /// Ends the use of the event loop.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.application.get() {
            Some(application) => Host::close(py, application),
            None => Ok(()),
        }
    }
}

/// The target of the lines of the application.
const TARGET: &str = "callgate_python";

/// Logs a text of this logger. Its lines stay lines, and those after the first are indented, so that none looks like a line
/// of the log.
#[pyfunction]
pub(super) fn log(py: Python<'_>, level: &str, logger: &str, text: &str) {
    let lines: Vec<_> = text.lines().map(|line| Escaped(line).to_string()).collect();
    let text = lines.join("\n    ");
    py.detach(|| match level {
        "error" | "critical" => tracing::error!(target: TARGET, logger, "{text}"),
        "warning" => tracing::warn!(target: TARGET, logger, "{text}"),
        "info" => tracing::info!(target: TARGET, logger, "{text}"),
        _ => tracing::debug!(target: TARGET, logger, "{text}"),
    });
}
