//! A server on a thread of its own, for an application that does not need the event loop.
//!
//! The thread has a runtime of Tokio, and no Python: it never waits for the interpreter, which threads of the application hold
//! while they compute.

use std::future::{Future, pending};
use std::io;
use std::thread::{self, JoinHandle};

use callgate_server::{ServeError, Server, ServerHandle};
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::log;

/// Tells the event loop that the server is ready, and that it has ended.
#[derive(Debug)]
pub(crate) struct LoopNotifier {
    /// `loop.call_soon_threadsafe`.
    pub(crate) call_soon: Py<PyAny>,
    pub(crate) on_ready: Py<PyAny>,
    /// The future that is done when the server has ended.
    pub(crate) done: Py<PyAny>,
}

impl LoopNotifier {
    /// Has the event loop call a function. It may have ended, and nobody waits then.
    fn call<'py>(
        &self,
        py: Python<'py>,
        function: &Bound<'py, PyAny>,
        argument: Option<Bound<'py, PyAny>>,
    ) {
        let _ = match argument {
            Some(argument) => self.call_soon.call1(py, (function, argument)),
            None => self.call_soon.call1(py, (function,)),
        };
    }

    fn ready(&self) {
        Python::attach(|py| self.call(py, self.on_ready.bind(py), None));
    }

    fn ended(&self, result: Result<(), ServeError>, failed: fn(&ServeError) -> PyErr) {
        Python::attach(|py| {
            let done = self.done.bind(py);
            let (method, argument) = match result {
                Ok(()) => ("set_result", py.None().into_bound(py)),
                Err(error) => (
                    "set_exception",
                    failed(&error).into_value(py).into_bound(py).into_any(),
                ),
            };
            if let Ok(method) = done.getattr(method) {
                self.call(py, &method, Some(argument));
            }
        });
    }
}

/// Creates the runtime of a server.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs a server in this runtime, on a thread of its own.
pub(crate) fn start(
    runtime: Runtime,
    server: Server,
    handle: ServerHandle,
    notifier: LoopNotifier,
    failed: fn(&ServeError) -> PyErr,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let result = log::pass_on(|| {
            let result = runtime.block_on(serve(server, &handle, &notifier));
            runtime.shutdown_background();
            result
        });
        notifier.ended(result, failed);
    };
    thread::Builder::new().name("callgate".into()).spawn(run)
}

async fn serve(
    server: Server,
    handle: &ServerHandle,
    notifier: &LoopNotifier,
) -> Result<(), ServeError> {
    let tell = async {
        handle.started().await;
        notifier.ready();
        pending().await
    };
    first_of(server.serve_until(pending()), tell).await
}

/// Runs both, and returns the first result.
async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        result = one => result,
        result = other => result,
    }
}
