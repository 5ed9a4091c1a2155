//! Loads an application, and starts its thread.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::mpsc;

use super::modules::Modules;
use super::native::Native;
use super::{AsgiApp, Entry, NewCall, Shared, without_python};
use crate::asgi::Offer;
use crate::wsgi::WsgiApp;

/// The options of an application in Python. They are named as the flags of the command `callgate`.
///
/// ```no_run
/// use callgate_python::{EventLoop, Loader};
///
/// # fn main() -> Result<(), callgate_python::LoadError> {
/// let app = Loader::new("main:create_app")
///     .app_dir("services/orders")
///     .factory(true)
///     .event_loop(EventLoop::Asyncio)
///     .load()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a loader does nothing until it loads"]
pub struct Loader {
    app: String,
    app_dir: PathBuf,
    factory: bool,
    interface: Interface,
    wsgi_threads: NonZeroUsize,
    event_loop: EventLoop,
    http_shutdown: bool,
}

/// What an application is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// What it looks like: by the arguments that it takes.
    #[default]
    Auto,
    /// An application of ASGI 3.
    Asgi3,
    /// An application of ASGI 2, which is called with the scope, and what it returns with `receive` and `send`.
    Asgi2,
    /// An application of WSGI.
    Wsgi,
}

impl Interface {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Asgi3 => "asgi3",
            Self::Asgi2 => "asgi2",
            Self::Wsgi => "wsgi",
        }
    }
}

/// The event loop of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventLoop {
    /// That of uvloop where it is installed, otherwise that of asyncio.
    #[default]
    Auto,
    /// That of asyncio.
    Asyncio,
    /// That of uvloop, which must be installed.
    Uvloop,
}

impl EventLoop {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Asyncio => "asyncio",
            Self::Uvloop => "uvloop",
        }
    }
}

/// There is no application. The text names the module, the reason and the remedy, and has the traceback of an exception.
#[derive(Debug)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LoadError {}

impl Loader {
    /// Creates the options of the application `module:attribute`.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            app: target.into(),
            app_dir: ".".into(),
            factory: false,
            interface: Interface::default(),
            wsgi_threads: NonZeroUsize::new(10).expect("is not zero"),
            event_loop: EventLoop::default(),
            http_shutdown: false,
        }
    }

    /// Looks for the module in this folder first. The default is the current folder.
    pub fn app_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.app_dir = folder.into();
        self
    }

    /// Calls the attribute, without arguments, to get the application. Off by default.
    pub fn factory(mut self, calls: bool) -> Self {
        self.factory = calls;
        self
    }

    /// Sets what the application is.
    pub fn interface(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self
    }

    /// Sets the number of threads that run an application of WSGI. The default is 10.
    pub fn wsgi_threads(mut self, threads: NonZeroUsize) -> Self {
        self.wsgi_threads = threads;
        self
    }

    /// Sets the event loop.
    pub fn event_loop(mut self, event_loop: EventLoop) -> Self {
        self.event_loop = event_loop;
        self
    }

    /// Passes the event `http.shutdown` on, where the server offers it. ASGI does not have the event, and some frameworks fail
    /// at it. Off by default.
    pub fn http_shutdown(mut self, is_passed_on: bool) -> Self {
        self.http_shutdown = is_passed_on;
        self
    }

    /// Loads the application on a new thread, which its event loop then has. This waits until the module is imported.
    ///
    /// The first application of a process also starts the interpreter of Python. It takes no signal: the program has them.
    /// Packages are found in `PYTHONPATH`, and in the environment that `VIRTUAL_ENV` names.
    ///
    /// # Errors
    ///
    /// When there is no such application, when its module raises an exception, or when the event loop cannot be had.
    pub fn load(self) -> Result<AsgiApp, LoadError> {
        start_interpreter()?;
        let target = self.app.clone();
        let (calls, new_calls) = mpsc::unbounded_channel();
        let (tell_loaded, loaded) = std_mpsc::channel();
        let (is_used, unused) = std_mpsc::channel();
        let (tell_ended, ended) = std_mpsc::channel();
        let thread = thread::Builder::new()
            .name("callgate-python".into())
            .spawn(move || {
                // Is dropped last of all.
                let _tell_ended: std_mpsc::Sender<()> = tell_ended;
                Python::attach(|py| self.run(py, new_calls, unused, &tell_loaded));
            })
            .map_err(|error| LoadError(format!("there is no thread for `{target}`: {error}")))?;
        let mut shared = Shared {
            target,
            entry: Some(Entry::Loop(calls)),
            thread: Some(thread),
            ended: Mutex::new(ended),
        };
        match without_python(move || loaded.recv()) {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(app))) => {
                let _is_used = is_used;
                shared.entry = Some(Entry::Threads { app, _is_used });
            }
            Ok(Err(reason)) => return Err(LoadError(reason)),
            Err(_) => {
                let reason = format!("the thread of `{}` has panicked", shared.target);
                return Err(LoadError(reason));
            }
        }
        Ok(AsgiApp(Arc::new(shared)))
    }

    /// Loads the application, tells so, and runs its event loop, or its threads if it is one of WSGI.
    fn run(
        self,
        py: Python<'_>,
        calls: mpsc::UnboundedReceiver<NewCall>,
        unused: std_mpsc::Receiver<Infallible>,
        tell_loaded: &std_mpsc::Sender<Result<Option<WsgiApp>, String>>,
    ) {
        let loaded = Modules::get(py).and_then(|modules| {
            let (app, make_loop) = modules.load(py, &self.options(py)?)?;
            let wsgi = match modules.wsgi_parts(py, &app)? {
                Some(parts) => Some(WsgiApp::start(py, parts, false)?),
                None => None,
            };
            Ok((modules, app, make_loop, wsgi))
        });
        let (modules, app, make_loop, wsgi) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                let _ = tell_loaded.send(Err(Modules::reason(py, &error)));
                return;
            }
        };
        // The caller waits for it.
        let _ = tell_loaded.send(Ok(wsgi.clone()));
        if let Some(wsgi) = wsgi {
            // Nothing is sent: it returns when the program has dropped the application.
            let _ = py.detach(move || unused.recv());
            wsgi.close(py, Duration::MAX);
            return;
        }
        let offer = Offer {
            has_http_shutdown: self.http_shutdown,
            shows_exceptions: false,
            ..Offer::default()
        };
        let ended = Bound::new(py, Native::new(calls, offer))
            .and_then(|native| modules.run(py, &native, app, make_loop));
        if let Err(error) = ended {
            tracing::error!("the event loop of `{}` has ended: {error}", self.app);
        }
    }

    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let options = PyDict::new(py);
        options.set_item("app", &self.app)?;
        options.set_item("app_dir", &self.app_dir)?;
        options.set_item("factory", self.factory)?;
        options.set_item("interface", self.interface.name())?;
        options.set_item("wsgi_threads", self.wsgi_threads.get())?;
        options.set_item("event_loop", self.event_loop.name())?;
        Ok(options)
    }
}

/// Starts the interpreter, unless the process has one.
///
/// Python lets one thread alone handle signals: that which starts the interpreter, and which imports `threading` first. This is a
/// thread that does nothing else, and lasts as long as the process: event loops on other threads leave the signals to the
/// program.
fn start_interpreter() -> Result<(), LoadError> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        if Python::try_attach(|_| ()).is_some() {
            return Ok(());
        }
        let (tell_started, started) = std_mpsc::channel();
        let main = move || {
            Python::initialize();
            let prepared = Python::attach(|py| {
                py.import("threading")?;
                leave_interrupt(py)
            });
            let _ = tell_started.send(prepared.map_err(|error| error.to_string()));
            loop {
                thread::park();
            }
        };
        let thread = thread::Builder::new().name("python".into()).spawn(main);
        thread.map_err(|error| format!("there is no thread for Python: {error}"))?;
        let started = started.recv();
        started.unwrap_or_else(|_| Err("Python cannot be started".into()))
    });
    started.clone().map_err(LoadError)
}

/// Gives SIGINT back, which the module `signal` takes when it is imported and the program has no handler yet.
fn leave_interrupt(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let interrupt = signal.getattr("SIGINT")?;
    let handler = signal.call_method1("getsignal", (&interrupt,))?;
    if handler.is(&signal.getattr("default_int_handler")?) {
        signal.call_method1("signal", (interrupt, signal.getattr("SIG_DFL")?))?;
    }
    Ok(())
}
