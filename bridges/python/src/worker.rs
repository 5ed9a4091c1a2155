//! A server in the event loop of this thread.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::sync::{Arc, OnceLock};

use callgate::{App, AppError, BoxApp, Receiver, Scope, Sender};
use callgate_cli::Start;
use callgate_server::{Server, ServerHandle};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use crate::asgi::Offer;
use crate::guest;
use crate::host::Host;
use crate::log;
use crate::settings::{Checks, Settings};

create_exception!(
    callgate,
    ServeError,
    PyException,
    "The server cannot start, or has failed. The second argument is the exit status."
);

/// An application that is set after its server was bound.
#[derive(Clone, Debug, Default)]
struct LateApp(Arc<OnceLock<BoxApp>>);

impl App for LateApp {
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        let app = self.0.get().expect("set before the server runs");
        app.call(scope, receiver, sender)
    }
}

/// A server: its sockets first, and then its run in an event loop.
///
/// A process that forks binds before it forks, and each child serves with the sockets that it has inherited.
#[derive(Debug)]
#[pyclass(unsendable, module = "callgate._callgate")]
pub(crate) struct Worker {
    app: LateApp,
    handle: ServerHandle,
    /// `None` once it runs.
    server: RefCell<Option<Server>>,
    addresses: Vec<String>,
    offer: Offer,
    /// What is put around the application when it starts.
    checks: RefCell<Option<Checks>>,
}

fn failed(error: &callgate_server::ServeError) -> PyErr {
    ServeError::new_err((error.to_string(), error.exit_status()))
}

/// Returns the exception for something around the application that cannot start.
fn cannot_start(reason: String) -> PyErr {
    ServeError::new_err((reason, callgate_cli::STARTUP))
}

#[pymethods]
impl Worker {
    /// Binds to the addresses of the settings.
    #[new]
    fn new(py: Python<'_>, settings: &Settings) -> PyResult<Self> {
        log::start(py, settings.config())?;
        let app = LateApp::default();
        let server = Server::new(app.clone())
            .config(settings.config().clone())
            .bind()
            .map_err(|error| failed(&error))?;
        Ok(Self {
            app,
            handle: server.handle(),
            addresses: server
                .local_addrs()
                .iter()
                .map(ToString::to_string)
                .collect(),
            offer: settings.offer(),
            checks: RefCell::new(settings.take_checks()),
            server: RefCell::new(Some(server)),
        })
    }

    /// The addresses that the server listens on.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Serves in the event loop that runs, and calls `on_ready` when it does. Returns a future of asyncio that is done when
    /// the server has ended.
    fn start<'py>(
        slf: &Bound<'py, Self>,
        parts: &Bound<'py, PyAny>,
        on_ready: Py<PyAny>,
        replaces_another: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        let Some(server) = this.server.borrow_mut().take() else {
            return Err(PyRuntimeError::new_err("a worker starts only once"));
        };
        let start = match replaces_another {
            true => Start::Successor,
            false => Start::First,
        };
        let (guest, app) = Host::start(parts, this.offer)?;
        let app = BoxApp::new(app);
        let app = match &mut *this.checks.borrow_mut() {
            Some(checks) => match checks.wrap(app, start) {
                Ok(app) => app,
                Err(reason) => {
                    Host::close(py)?;
                    return Err(cannot_start(reason));
                }
            },
            None => app,
        };
        let _ = this.app.0.set(app);
        let done = parts.getattr("event_loop")?.call_method0("create_future")?;
        let tell = done.clone().unbind();
        let handle = this.handle.clone();
        guest.spawn(async move {
            handle.started().await;
            Python::attach(|py| {
                if let Err(error) = on_ready.call0(py) {
                    error.write_unraisable(py, Some(on_ready.bind(py)));
                }
            });
        });
        guest.spawn(async move {
            let result = server.serve_until(pending()).await;
            Python::attach(|py| {
                let told = match result {
                    Ok(()) => tell.call_method1(py, "set_result", (py.None(),)),
                    Err(error) => tell.call_method1(py, "set_exception", (failed(&error),)),
                };
                // The task that waited may have been cancelled.
                drop(told);
            });
        });
        Ok(done)
    }

    /// Asks the server to shut down, as at a signal: at the first call in peace, at the second at once.
    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        guest::enter(|| self.handle.shutdown());
        // The turn is not now: a task of the application may call this, and tasks do not run inside of each other.
        Host::schedule_turn(py)
    }

    /// Ends the use of the event loop. The server has ended before.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        Host::close(py)?;
        if let Some(checks) = &mut *self.checks.borrow_mut() {
            checks.ended();
        }
        Ok(())
    }
}
