//! Applications of ASGI in Python, each in a process of its own, as applications of Callgate.
//!
//! `asgi_host.py` calls the application, and translates between ASGI and the serialised form. The suite is the
//! server: an [`AsgiApp`] starts the interpreter, passes scopes and events on, and settles what ASGI leaves to a
//! server (see [`AsgiCall`](call::AsgiCall)).

mod call;
mod host_process;
mod message;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};

use call::AsgiCall;
use host_process::HostProcess;

/// Where an application of ASGI is, and what calls it.
#[derive(Clone, Debug)]
pub(crate) struct AsgiTarget {
    /// The module and the attribute: `main:app`.
    pub(crate) name: String,
    /// Whether the attribute is called for the application.
    pub(crate) is_factory: bool,
    /// The directory in which modules are found first.
    pub(crate) directory: PathBuf,
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// The time in which the application must be imported.
    pub(crate) import_timeout: Duration,
    /// A process whose event loop does not become idle for so long is killed.
    pub(crate) patience: Duration,
}

/// Starts a process of the application for each one that the suite makes.
pub(crate) struct AsgiApps {
    target: AsgiTarget,
    /// The process that has shown that the application can be imported.
    first: Mutex<Option<Arc<HostProcess>>>,
    /// The processes that may run.
    started: Mutex<Vec<Weak<HostProcess>>>,
    declined_startup: DeclinedStartup,
}

/// The first exception that a start-up has raised, which declines the lifespan.
type DeclinedStartup = Arc<Mutex<Option<String>>>;

impl AsgiApps {
    /// Imports the application in a first process.
    ///
    /// # Errors
    ///
    /// One line that says why there is no such application.
    pub(crate) fn import(target: AsgiTarget) -> Result<Self, String> {
        let first = HostProcess::start(&target)?;
        let started = Mutex::new(vec![Arc::downgrade(&first)]);
        Ok(Self {
            target,
            first: Mutex::new(Some(first)),
            started,
            declined_startup: Arc::default(),
        })
    }

    /// Returns the application in a new process.
    pub(crate) fn make(&self) -> AsgiApp {
        let first = lock(&self.first).take();
        AsgiApp {
            process: first.map_or_else(|| self.start(), Ok),
            declined_startup: self.declined_startup.clone(),
        }
    }

    fn start(&self) -> Result<Arc<HostProcess>, String> {
        let process = HostProcess::start(&self.target)?;
        lock(&self.started).push(Arc::downgrade(&process));
        Ok(process)
    }

    /// Returns the exception by which a start-up has declined its lifespan, if one has. A lifespan that was declined
    /// before its start-up does not count.
    pub(crate) fn declined_startup(&self) -> Option<String> {
        lock(&self.declined_startup).clone()
    }
}

impl Drop for AsgiApps {
    /// Kills the processes that still run: a call blocks them, and the thread that waits for it.
    fn drop(&mut self) {
        for process in lock(&self.started).iter().filter_map(Weak::upgrade) {
            process.kill();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for AsgiApps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsgiApps").field(&self.target).finish()
    }
}

/// An application of ASGI in a process of its own, which ends with the last clone; or why there is none.
#[derive(Clone)]
pub(crate) struct AsgiApp {
    process: Result<Arc<HostProcess>, String>,
    declined_startup: DeclinedStartup,
}

impl App for AsgiApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let process = self.process.clone().map_err(AppError::failed)?;
        let declined = self.declined_startup.clone();
        AsgiCall::new(process, &scope, receiver, sender, declined).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn an_import_that_does_not_end_is_abandoned() {
        let directory = tempfile::tempdir().unwrap();
        let module = "import threading\nthreading.Event().wait()\n";
        std::fs::write(directory.path().join("endless.py"), module).unwrap();
        let python = std::env::var_os("CALLGATE_PYTHON");
        let target = AsgiTarget {
            name: "endless:app".into(),
            is_factory: false,
            directory: directory.path().into(),
            python: python.unwrap_or_else(|| "python3".into()).into(),
            import_timeout: Duration::from_millis(500),
            patience: Duration::from_secs(5),
        };
        let (reason, abandoned) = mpsc::channel();
        thread::spawn(move || reason.send(AsgiApps::import(target).unwrap_err()));
        let reason = abandoned.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(reason, "the import took longer than 0.5 s");
    }
}
