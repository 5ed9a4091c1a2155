//! One call of the application: its task, from its first step to its end.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake as _, Waker};

use callgate::{AppError, Channel, Receiver, Scope, SendError, Sender};
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PySystemExit};
use pyo3::prelude::*;
use pyo3::{create_exception, intern};

use super::app::Interpreter;
use super::awaitable::Waiter;
use super::callables::{Ended, Receive, Send};
use super::exception::Exception;
use super::progress::Progress;
use crate::guest;

create_exception!(
    callgate,
    ClientDisconnected,
    PyOSError,
    "What `send` raises when the client is gone, and what reads and writes of WSGI raise."
);

/// A call of the application.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) interpreter: Arc<Interpreter>,
    pub(super) kind: Kind,
    pub(super) is_queued: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    WebSocket,
    Lifespan,
    Unknown,
}

pub(super) struct State {
    /// `None` once the call is over.
    pub(super) channels: Option<Channels>,
    task: Option<Py<PyAny>>,
    pub(super) receives: VecDeque<Py<Waiter>>,
    pub(super) sends: VecDeque<Py<Waiter>>,
    /// Whether the end of the task has been recorded.
    has_ended: bool,
    /// The end, until the server takes it.
    end: Option<Result<(), AppError>>,
    end_waker: Option<Waker>,
    pub(super) has_received: bool,
    pub(super) has_sent: bool,
    /// Whether the lifespan has told that it failed, with the traceback.
    pub(super) has_told_traceback: bool,
    pub(super) progress: Progress,
    is_cancelled: bool,
    /// Whether the lifespan is to shut down, once no task is left that was cancelled.
    pub(super) is_shutting_down: bool,
}

#[derive(Clone)]
pub(super) struct Channels {
    pub(super) receiver: Arc<dyn Channel>,
    pub(super) sender: Arc<dyn Channel>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Returns whether an exception ends an event loop.
pub(super) fn is_exit(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}

impl Call {
    pub(super) fn new(
        interpreter: Arc<Interpreter>,
        scope: &Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Arc<Self> {
        let kind = match scope {
            Scope::Http(_) => Kind::Http,
            Scope::WebSocket(_) => Kind::WebSocket,
            Scope::Lifespan(_) => Kind::Lifespan,
            _ => Kind::Unknown,
        };
        Arc::new(Self {
            interpreter,
            kind,
            is_queued: AtomicBool::new(false),
            state: Mutex::new(State {
                channels: Some(Channels {
                    receiver: receiver.into_channel(),
                    sender: sender.into_channel(),
                }),
                task: None,
                receives: VecDeque::new(),
                sends: VecDeque::new(),
                has_ended: false,
                end: None,
                end_waker: None,
                has_received: false,
                has_sent: false,
                has_told_traceback: false,
                progress: Progress::new(scope),
                is_cancelled: false,
                is_shutting_down: false,
            }),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Returns whether the call takes its step before its connection does. If the application waits for more content, the
    /// next read is larger then. A message of a WebSocket is a step of its own.
    pub(super) fn goes_before_its_connection(&self) -> bool {
        self.kind != Kind::WebSocket || self.interpreter.steps.is_first()
    }

    pub(super) fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// Calls the application, and runs it until it waits for something. A call that was given up does not begin.
    pub(super) fn begin(self: &Arc<Self>, py: Python<'_>, scope: &Scope) {
        if self.lock().channels.is_none() {
            return;
        }
        if let Err(error) = self.try_begin(py, scope) {
            self.interpreter.end_loop_at_exit(py, &error);
            self.end(py, Err(error));
        }
    }

    fn try_begin(self: &Arc<Self>, py: Python<'_>, scope: &Scope) -> PyResult<()> {
        let interpreter = &self.interpreter;
        let Some(scope) = interpreter.scopes.scope(py, scope)? else {
            self.set_end(Err(AppError::Unsupported));
            return Ok(());
        };
        let receive = Bound::new(py, Receive(self.clone()))?;
        let send = Bound::new(py, Send(self.clone()))?;
        let mut coroutine = interpreter.app.bind(py).call1((scope, receive, send))?;
        if !coroutine.get_type().is(&interpreter.coroutine_type) {
            coroutine = interpreter.as_coroutine.bind(py).call1((coroutine,))?;
        }
        let task = interpreter.tasks.start(coroutine)?;
        // It may have ended in its first step.
        if task.call_method0(intern!(py, "done"))?.is_truthy()? {
            self.end_of_task(&task);
            return Ok(());
        }
        let ended = Bound::new(py, Ended(self.clone()))?;
        task.call_method1(intern!(py, "add_done_callback"), (ended,))?;
        self.lock().task = Some(task.unbind());
        Ok(())
    }

    /// Returns whether the response is complete, so that the task may be done. The event loop tells of its end after the turns
    /// that are due already.
    pub(super) fn may_be_done(&self) -> bool {
        let state = self.lock();
        !state.has_ended && state.progress.is_complete()
    }

    /// Records the end of the task, if it is done.
    pub(super) fn end_if_done(self: &Arc<Self>, py: Python<'_>) {
        let task = {
            let mut state = self.lock();
            // The server asks for the end next.
            state.end_waker = None;
            state.task.as_ref().map(|task| task.clone_ref(py))
        };
        let Some(task) = task.map(|task| task.into_bound(py)) else {
            return;
        };
        let done = task.call_method0(intern!(py, "done"));
        // Where this fails, the event loop tells of the end.
        if done.is_ok_and(|done| done.is_truthy().unwrap_or(false)) {
            self.end_of_task(&task);
        }
    }

    /// Records the end of the task, once.
    pub(super) fn end_of_task(self: &Arc<Self>, task: &Bound<'_, PyAny>) {
        if mem::replace(&mut self.lock().has_ended, true) {
            return;
        }
        let py = task.py();
        let result = task.call_method0(intern!(py, "result"));
        self.end(py, result.map(drop));
    }

    fn end(self: &Arc<Self>, py: Python<'_>, result: PyResult<()>) {
        let (has_received, has_sent, has_told_traceback, is_cancelled) = {
            let state = self.lock();
            (
                state.has_received,
                state.has_sent,
                state.has_told_traceback,
                state.is_cancelled,
            )
        };
        if is_cancelled {
            self.interpreter.cancelled.remove();
        }
        let declines = self.kind == Kind::Lifespan && !has_sent;
        self.set_end(match result {
            Ok(()) if declines => Err(AppError::Unsupported),
            Ok(()) => Ok(()),
            Err(error) if is_exit(py, &error) => Err(AppError::failed(error.to_string())),
            Err(error) if error.is_instance_of::<ClientDisconnected>(py) => {
                Err(SendError::Disconnected.into())
            }
            Err(error) if is_cancelled && error.is_instance_of::<CancelledError>(py) => {
                Err(SendError::Disconnected.into())
            }
            Err(error) if declines => {
                // An application of HTTP only fails at the kind of scope, or at the first event.
                let must_serve = self.interpreter.offer.needs_lifespan && has_received;
                self.log(py, if must_serve { "error" } else { "debug" }, &error);
                Err(AppError::Unsupported)
            }
            // The server shows what was told. Frameworks tell the traceback of the exception, and raise it then.
            Err(error) if has_told_traceback => {
                self.log(py, "debug", &error);
                Err(AppError::failed(error.to_string()))
            }
            // No line of the server is about the end of a call that was given up, and that about a lifespan has only text.
            Err(error)
                if is_cancelled
                    || self.kind == Kind::Lifespan
                    || !self.interpreter.offer.shows_exceptions =>
            {
                self.log(py, "error", &error);
                Err(AppError::failed(error.to_string()))
            }
            Err(error) => Err(self.failed(py, error)),
        });
    }

    /// Returns the end of a call by an exception, which the log shows with the line of the server about this end.
    fn failed(&self, py: Python<'_>, error: PyErr) -> AppError {
        let exception = Exception::new(py, error);
        if let Err(failure) = self.interpreter.strip.call1(py, (&*exception.value,)) {
            failure.write_unraisable(py, None);
        }
        AppError::failed(exception)
    }

    fn log(&self, py: Python<'_>, level: &str, error: &PyErr) {
        let logged = self
            .interpreter
            .log_exception
            .call1(py, (level, error.clone_ref(py).into_value(py)));
        if let Err(failure) = logged {
            failure.write_unraisable(py, None);
        }
    }

    /// Ends the call.
    pub(super) fn set_end(self: &Arc<Self>, end: Result<(), AppError>) {
        let waker = {
            let mut state = self.lock();
            state.end = Some(end);
            state.end_waker.take()
        };
        drop(self.close());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends what the application has of its call, and returns its task. Those who still wait are told in the next turn.
    fn close(self: &Arc<Self>) -> Option<Py<PyAny>> {
        let (task, has_waiters, _channels) = {
            let mut state = self.lock();
            let has_waiters = !state.receives.is_empty() || !state.sends.is_empty();
            (state.task.take(), has_waiters, state.channels.take())
        };
        if has_waiters {
            self.wake_by_ref();
        }
        task
    }

    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        let mut state = self.lock();
        match state.end.take() {
            Some(end) => Poll::Ready(end),
            None => {
                state.end_waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Cancels the task of a call that the server gives up. The exception of a call that has just ended is logged.
    pub(super) fn give_up(self: &Arc<Self>, py: Python<'_>) {
        let end = self.lock().end.take();
        if let Some(Err(AppError::Failed(error))) = end
            && let Ok(exception) = error.downcast::<Exception>()
        {
            self.log(py, "error", &exception.to_error(py));
        }
        let Some(task) = self.close() else { return };
        self.lock().is_cancelled = true;
        self.interpreter.cancelled.add();
        if let Err(error) = task.call_method0(py, intern!(py, "cancel")) {
            error.write_unraisable(py, None);
        }
    }

    /// Runs `f` in the server, and has the event loop call for the turn that is due after it.
    pub(super) fn in_server<T>(&self, py: Python<'_>, f: impl FnOnce() -> T) -> PyResult<T> {
        let (result, is_turn_due) = guest::enter(f);
        if is_turn_due {
            self.interpreter.schedule_turn(py)?;
        }
        Ok(result)
    }
}
