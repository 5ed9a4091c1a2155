//! A server for an application in Python, in the event loop of a thread.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use callgate::{App, AppError, BoxApp, Receiver, Scope, Sender};
use callgate_cli::Start;
use callgate_server::cli::{ProcessSockets, SocketDescription};
use callgate_server::{Server, ServerHandle};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use crate::asgi::{Interpreter, Offer};
use crate::guest;
use crate::host::Host;
use crate::log;
use crate::server_thread::{self, LoopNotifier};
use crate::settings::{Checks, Settings};
use crate::wsgi::{self, WsgiApp};

/// How long the end of a server waits for threads of an application of WSGI. The server has waited for what is in flight.
const THREADS_TIMEOUT: Duration = Duration::from_secs(1);

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
/// A process that forks binds before it forks, and each child serves with the sockets that it has inherited. An application of
/// ASGI is served on the thread that starts the server, and one of WSGI from a thread of its own. The server may be dropped on
/// any thread, as the collector of cycles runs on any.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(crate) struct Worker {
    app: LateApp,
    handle: ServerHandle,
    /// `None` once it runs.
    server: Mutex<Option<Server>>,
    /// For a process that replaces this one; `None` for a server that is not replaced, and once it stops.
    sockets: Mutex<Option<ProcessSockets>>,
    addresses: Vec<String>,
    offer: Offer,
    /// What is put around the application when it starts.
    checks: Mutex<Option<Checks>>,
    /// An application of ASGI, once it runs in the event loop.
    application: OnceLock<Arc<Interpreter>>,
    /// An application of WSGI while it runs, and the thread of its server.
    wsgi: Mutex<Option<(WsgiApp, JoinHandle<()>)>>,
    has_threads: AtomicBool,
    /// Whether `shutdown` has been called.
    is_asked: AtomicBool,
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().expect("no panic under this lock")
}

fn failed(error: &callgate_server::ServeError) -> PyErr {
    ServeError::new_err((error.to_string(), error.exit_status()))
}

/// Returns the exception for something around the application that cannot start.
fn cannot_start(reason: String) -> PyErr {
    ServeError::new_err((reason, callgate_cli::STARTUP))
}

/// Calls a function without arguments that does not fail.
fn call(py: Python<'_>, function: &Py<PyAny>) {
    if let Err(error) = function.call0(py) {
        error.write_unraisable(py, Some(function.bind(py)));
    }
}

/// A socket as Python has it: its descriptor, its origin and whether it has a file.
type Description = (i32, String, bool);

impl Worker {
    /// Sets the application, with what is put around it.
    fn set_app(&self, app: BoxApp, start: Start) -> PyResult<()> {
        let app = match &mut *lock(&self.checks) {
            Some(checks) => checks.wrap(app, start).map_err(cannot_start)?,
            None => app,
        };
        let _ = self.app.0.set(app);
        Ok(())
    }

    /// Starts an application of WSGI, and the server on a thread of its own.
    fn start_on_thread(
        &self,
        py: Python<'_>,
        parts: wsgi::Parts,
        server: Server,
        notifier: LoopNotifier,
        start: Start,
    ) -> PyResult<()> {
        let runtime = server_thread::runtime()?;
        let app = WsgiApp::start(py, parts, self.offer.shows_exceptions)?;
        let started = {
            let _context = runtime.enter();
            self.set_app(BoxApp::new(app.clone()), start)
        };
        let started = started.and_then(|()| {
            let handle = self.handle.clone();
            Ok(server_thread::start(
                runtime, server, handle, notifier, failed,
            )?)
        });
        match started {
            Ok(thread) => {
                *lock(&self.wsgi) = Some((app, thread));
                Ok(())
            }
            Err(error) => {
                app.close(py, THREADS_TIMEOUT);
                Err(error)
            }
        }
    }

    fn of(
        settings: &Settings,
        app: LateApp,
        server: Server,
        sockets: Option<ProcessSockets>,
    ) -> Self {
        Self {
            app,
            handle: server.handle(),
            addresses: server
                .local_addrs()
                .iter()
                .map(ToString::to_string)
                .collect(),
            offer: settings.offer(),
            checks: Mutex::new(settings.take_checks()),
            application: OnceLock::new(),
            wsgi: Mutex::new(None),
            has_threads: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            server: Mutex::new(Some(server)),
            sockets: Mutex::new(sockets),
        }
    }

    /// Asks the server to shut down, in one way or another.
    fn ask(&self, py: Python<'_>, how: fn(&ServerHandle)) -> PyResult<()> {
        // Nobody accepts here any more.
        lock(&self.sockets).take();
        guest::enter(|| how(&self.handle));
        // The turn is not now: a task of the application may call this, and tasks do not run inside of each other.
        Host::schedule_turn(py)
    }

    /// Returns a server that is not bound, and its application.
    fn server(py: Python<'_>, settings: &Settings) -> PyResult<(LateApp, Server)> {
        log::start(py, settings.config())?;
        let app = LateApp::default();
        let server = Server::new(app.clone()).config(settings.config().clone());
        Ok((app, server))
    }
}

#[pymethods]
impl Worker {
    /// Binds to the addresses of the settings.
    #[new]
    fn new(py: Python<'_>, settings: &Settings) -> PyResult<Self> {
        let (app, server) = Self::server(py, settings)?;
        let server = server.bind().map_err(|error| failed(&error))?;
        Ok(Self::of(settings, app, server, None))
    }

    /// Has the sockets of systemd or those of the process that this one replaces, and binds to the other addresses of the
    /// settings.
    #[staticmethod]
    fn of_process(
        py: Python<'_>,
        settings: &Settings,
        inherited: Option<Vec<Description>>,
    ) -> PyResult<Self> {
        let (app, server) = Self::server(py, settings)?;
        let inherited = inherited.map(|sockets| {
            let describe = |(descriptor, origin, has_file)| SocketDescription {
                descriptor,
                origin,
                has_file,
            };
            sockets.into_iter().map(describe).collect::<Vec<_>>()
        });
        let (server, sockets) = server
            .bind_as_process(inherited.as_deref())
            .map_err(|error| failed(&error))?;
        Ok(Self::of(settings, app, server, Some(sockets)))
    }

    /// The sockets for a process that replaces this one. They are not inherited unless that is asked for.
    #[getter]
    fn sockets(&self) -> Vec<Description> {
        let sockets = lock(&self.sockets);
        let descriptions = sockets.iter().flat_map(ProcessSockets::descriptions);
        descriptions
            .map(|socket| (socket.descriptor, socket.origin, socket.has_file))
            .collect()
    }

    /// Sets whether this process removes the files of its sockets in the end.
    fn own_files(&self, is_owner: bool) {
        if let Some(sockets) = &*lock(&self.sockets) {
            sockets.own_files(is_owner);
        }
    }

    /// The addresses that the server listens on.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Serves in the event loop that runs, and calls `on_ready` when it does. Returns a future of asyncio that is done when
    /// the server has ended. It calls `on_limit` when it has served enough, and goes on; with `None`, it ends.
    fn start<'py>(
        slf: &Bound<'py, Self>,
        parts: &Bound<'py, PyAny>,
        on_ready: Py<PyAny>,
        on_limit: Option<Py<PyAny>>,
        replaces_another: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let Some(server) = lock(&this.server).take() else {
            return Err(PyRuntimeError::new_err(
                "a server serves only once: make another one",
            ));
        };
        let server = match on_limit {
            Some(on_limit) => server.on_limit(move || Python::attach(|py| call(py, &on_limit))),
            None => server,
        };
        let start = match replaces_another {
            true => Start::Successor,
            false => Start::First,
        };
        let done = parts.getattr("event_loop")?.call_method0("create_future")?;
        if let Some(wsgi) = parts.getattr("wsgi")?.extract::<Option<wsgi::Parts>>()? {
            let notifier = LoopNotifier {
                call_soon: parts
                    .getattr("event_loop")?
                    .getattr("call_soon_threadsafe")?
                    .unbind(),
                on_ready,
                done: done.clone().unbind(),
            };
            this.start_on_thread(py, wsgi, server, notifier, start)?;
            return Ok(done);
        }
        let (guest, app) = Host::start(parts, this.offer)?;
        let application = app.interpreter();
        if let Err(reason) = this.set_app(BoxApp::new(app), start) {
            Host::close(py, &application)?;
            return Err(reason);
        }
        let _ = this.application.set(application);
        let tell = done.clone().unbind();
        let handle = this.handle.clone();
        guest.spawn(async move {
            handle.started().await;
            Python::attach(|py| call(py, &on_ready));
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
        // Another server may have the guest run already.
        Host::schedule_turn(py)?;
        Ok(done)
    }

    /// Asks the server to shut down, as at a signal: at the first call in peace, at the second within a second.
    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        match self.is_asked.swap(true, Ordering::Relaxed) {
            true => self.ask(py, ServerHandle::shutdown),
            // Another reason to end may have come before.
            false => self.begin_shutdown(py),
        }
    }

    /// Asks the server to shut down in peace, unless it shuts down already.
    fn begin_shutdown(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, ServerHandle::begin_shutdown)
    }

    /// Loads the certificates again, as the server does at SIGHUP, and logs the result.
    fn reload(&self) {
        self.handle.reload();
    }

    /// Whether threads of the application go on after the end.
    #[getter]
    fn has_threads(&self) -> bool {
        self.has_threads.load(Ordering::Relaxed)
    }

    /// Ends the use of the event loop. The server has ended before.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let running = lock(&self.wsgi).take();
        match running {
            Some((app, thread)) => {
                // An event loop that fails does not wait for the server.
                if !thread.is_finished() {
                    self.handle.shutdown();
                    self.handle.shutdown();
                }
                let _ = py.detach(|| thread.join());
                let has_threads = app.close(py, THREADS_TIMEOUT) > 0;
                self.has_threads.store(has_threads, Ordering::Relaxed);
            }
            None => {
                if let Some(application) = self.application.get() {
                    Host::close(py, application)?;
                }
            }
        }
        if let Some(checks) = &mut *lock(&self.checks) {
            checks.ended();
        }
        Ok(())
    }
}
