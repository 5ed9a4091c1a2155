//! An application in Python as an application of a program in Rust.
//!
//! The server of the program has threads of its own, and Python has one for each application: that of its event loop. This
//! thread has a guest runtime, as the only thread of the wheel has, and everything of the application happens there: its
//! tasks, its `receive` and its `send`. So an exchange crosses threads with its scope, its receiver and its sender, once,
//! and no thread of the server ever waits for Python. The events that follow are handed over by the mailbox of the exchange,
//! which threads may share: its wakers put the call into the queue of the guest, and wake the event loop through its pipe.
//!
//! An application of WSGI has no event loop: a call goes from the thread of the server to the threads of the application, and
//! back.
//!
//! The other design would run the server itself in the event loop, as the wheel does. It saves the hand-over, and holds
//! up every application in Rust while one in Python computes.

mod loader;
mod modules;
mod native;

use std::convert::Infallible;
use std::sync::mpsc::{self as std_mpsc, Receiver as Ended, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, current};
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use pyo3::Python;
use tokio::sync::{mpsc, oneshot};

pub use self::loader::{EventLoop, Interface, LoadError, Loader};
use crate::wsgi::WsgiApp;

/// How long the last clone of an application waits for the end of its thread.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// An application in Python, of ASGI or of WSGI.
///
/// Its event loop, or its threads, run until the last clone is dropped. Dropping the last clone cancels what the
/// application still has in its event loop, and waits up to 5 seconds for the end of the thread.
///
/// The scope that the application sees is that of ASGI 3. The state that it makes in its lifespan is its own: the values in
/// [`RequestScope::state`](callgate::RequestScope::state) are of types of Rust, and do not reach Python.
///
/// An exception that the application does not catch ends its call with an [`AppError`] that has the kind of the exception and
/// its message. The traceback is logged, with the target `callgate_python`. The lines of Python's `logging` are logged there too,
/// unless the application gives the root logger a handler.
#[derive(Clone, Debug)]
pub struct AsgiApp(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    target: String,
    /// `None` once the application is dropped.
    entry: Option<Entry>,
    /// `None` once the application is dropped.
    thread: Option<JoinHandle<()>>,
    /// Is disconnected when the thread has nothing more to do.
    ended: Mutex<Ended<()>>,
}

/// Where the calls of an application go.
#[derive(Debug)]
enum Entry {
    /// To the thread of its event loop.
    Loop(mpsc::UnboundedSender<NewCall>),
    /// To the threads of an application of WSGI.
    Threads {
        app: WsgiApp,
        /// Ends them when it is dropped.
        _is_used: std_mpsc::Sender<Infallible>,
    },
}

/// A call for the thread of the application.
///
/// The queue of calls has no bound of its own: each exchange in flight has one call, and the server bounds the exchanges.
#[derive(Debug)]
struct NewCall {
    scope: Scope,
    receiver: Receiver,
    sender: Sender,
    /// Gets the end of the call. When nobody waits for it any more, the call is cancelled.
    end: oneshot::Sender<Result<(), AppError>>,
}

impl AsgiApp {
    /// Loads the application `module:attribute`, with the defaults of [`Loader`]. This waits until the module is imported.
    ///
    /// # Errors
    ///
    /// As [`Loader::load`].
    pub fn load(target: impl Into<String>) -> Result<Self, LoadError> {
        Loader::new(target).load()
    }

    fn has_ended(&self) -> AppError {
        AppError::failed(format!(
            "the event loop of `{}` has ended, as the log tells",
            self.0.target
        ))
    }
}

impl App for AsgiApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let calls = match &self.0.entry {
            Some(Entry::Threads { app, .. }) => return app.call(scope, receiver, sender).await,
            Some(Entry::Loop(calls)) => calls,
            None => return Err(self.has_ended()),
        };
        let (end, ended) = oneshot::channel();
        let call = NewCall {
            scope,
            receiver,
            sender,
            end,
        };
        // A call that nobody takes drops its `end`.
        let _ = calls.send(call);
        ended.await.unwrap_or_else(|_| Err(self.has_ended()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.entry = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        if thread.thread().id() == current().id() {
            return;
        }
        let ended = &self.ended;
        let waited = without_python(|| {
            let ended = ended.lock().expect("no panic under this lock");
            ended.recv_timeout(END_TIMEOUT)
        });
        match waited {
            Err(RecvTimeoutError::Timeout) => tracing::warn!(
                "the thread of `{}` has not ended after {} s, and is left behind",
                self.target,
                END_TIMEOUT.as_secs()
            ),
            // It does nothing more than end.
            _ => drop(thread.join()),
        }
    }
}

/// Calls `wait`, which waits for a thread that needs Python. A caller that has Python lets go of it meanwhile.
fn without_python<T: Send>(wait: impl FnOnce() -> T + Send) -> T {
    let mut wait = Some(wait);
    let mut take = || wait.take().expect("is called once");
    Python::try_attach(|py| py.detach(take())).unwrap_or_else(|| take()())
}

/// Serves a call, on the thread of the application. It is cancelled when nobody waits for its end.
async fn serve(app: impl App, call: NewCall) {
    let NewCall {
        scope,
        receiver,
        sender,
        mut end,
    } = call;
    tokio::select! {
        biased;
        result = app.call(scope, receiver, sender) => {
            // Nobody may wait for it any more.
            let _ = end.send(result);
        }
        () = end.closed() => {}
    }
}
