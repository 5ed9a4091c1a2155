//! The application, and how it is called.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::{App, AppError, Receiver, Scope, Sender};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::call::{Call, is_exit};
use super::cancelled::Cancelled;
use super::scope::Scopes;
use super::steps::Steps;
use super::tasks::Tasks;
use crate::tolerance::Tolerance;

/// An application in Python, on the thread of its event loop.
#[derive(Debug)]
pub(crate) struct LoopApp(Arc<Interpreter>);

/// What the server asks of an application, and offers to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offer {
    /// Whether the application must serve its lifespan.
    pub(crate) needs_lifespan: bool,
    /// Whether the application is offered the event `http.shutdown`, which ASGI does not have.
    pub(crate) has_http_shutdown: bool,
    /// Whether the log shows the exception with which a call has ended, beside the line of the server about that call.
    pub(crate) shows_exceptions: bool,
}

/// What all calls of an application share.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(super) app: Py<PyAny>,
    /// Wraps an awaitable that is no coroutine in one.
    pub(super) as_coroutine: Py<PyAny>,
    pub(super) coroutine_type: Py<PyAny>,
    pub(super) tasks: Tasks,
    /// `loop.call_soon`.
    pub(super) call_soon: Py<PyAny>,
    /// The keywords of `call_soon` for a turn: the context of the server.
    turn_keywords: Py<PyDict>,
    pub(super) offer: Offer,
    pub(super) event_loop: Py<PyAny>,
    /// What the event loop calls for a turn.
    turn: Py<PyAny>,
    /// Removes the frames of the server from the traceback of an exception.
    pub(super) strip: Py<PyAny>,
    /// Logs an exception that no line of the server shows: `log(level, exception)`.
    pub(super) log_exception: Py<PyAny>,
    pub(super) scopes: Scopes,
    pub(super) tolerance: Tolerance,
    pub(crate) steps: Arc<Steps>,
    /// The tasks that were cancelled and have not ended.
    pub(super) cancelled: Cancelled,
    /// What ends the event loop: `SystemExit` or `KeyboardInterrupt`.
    fatal: Mutex<Option<PyErr>>,
}

/// The parts of an [`Interpreter`] that come from the package in Python, as attributes of one object.
#[derive(FromPyObject)]
pub(crate) struct Parts {
    app: Py<PyAny>,
    as_coroutine: Py<PyAny>,
    coroutine_type: Py<PyAny>,
    task_type: Py<PyAny>,
    task_keywords: Py<PyDict>,
    first_step: Option<(Py<PyDict>, Py<PyDict>)>,
    event_loop: Py<PyAny>,
    log_exception: Py<PyAny>,
    strip: Py<PyAny>,
    turn_keywords: Py<PyDict>,
}

impl LoopApp {
    pub(crate) fn new(
        py: Python<'_>,
        parts: Parts,
        turn: Py<PyAny>,
        steps: Arc<Steps>,
        offer: Offer,
        shares_event_loop: bool,
    ) -> PyResult<Self> {
        let context = match shares_event_loop {
            true => parts.turn_keywords.bind(py).get_item("context")?,
            false => None,
        };
        let tasks = Tasks::new(
            py,
            parts.task_type,
            parts.task_keywords,
            context.map(Bound::unbind),
            &parts.event_loop,
            parts.first_step,
        )?;
        Ok(Self(Arc::new(Interpreter {
            app: parts.app,
            as_coroutine: parts.as_coroutine,
            coroutine_type: parts.coroutine_type,
            tasks,
            call_soon: parts.event_loop.getattr(py, "call_soon")?,
            turn_keywords: parts.turn_keywords,
            offer,
            event_loop: parts.event_loop,
            turn,
            strip: parts.strip,
            log_exception: parts.log_exception,
            tolerance: Tolerance::default(),
            scopes: Scopes::new(py, offer.has_http_shutdown)?,
            steps,
            cancelled: Cancelled::default(),
            fatal: Mutex::default(),
        })))
    }

    pub(crate) fn interpreter(&self) -> Arc<Interpreter> {
        self.0.clone()
    }
}

impl Interpreter {
    /// Has the event loop call for a turn.
    pub(crate) fn schedule_turn(&self, py: Python<'_>) -> PyResult<()> {
        let keywords = self.turn_keywords.bind(py);
        let call_soon = self.call_soon.bind(py);
        call_soon.call((&self.turn,), Some(keywords)).map(drop)
    }

    /// Reports an exception that nobody catches to the event loop.
    pub(super) fn report(&self, py: Python<'_>, error: &PyErr) {
        let context = PyDict::new(py);
        let reported = context
            .set_item("message", "a task failed as it went on")
            .and_then(|()| context.set_item("exception", error.clone_ref(py).into_value(py)))
            .and_then(|()| {
                let event_loop = self.event_loop.bind(py);
                event_loop.call_method1("call_exception_handler", (context,))
            });
        if let Err(failure) = reported {
            failure.write_unraisable(py, None);
        }
    }

    /// Ends the event loop after the turn, if an exception of a step of a task does so that was taken in the server. In other
    /// steps, asyncio does. Returns whether it ends.
    pub(super) fn end_loop_at_exit(&self, py: Python<'_>, error: &PyErr) -> bool {
        let is_exit = is_exit(py, error);
        if is_exit {
            *self.fatal.lock().expect("no panic under this lock") = Some(error.clone_ref(py));
        }
        is_exit
    }

    /// Returns the exception with which the event loop is to end.
    pub(crate) fn take_fatal(&self) -> Option<PyErr> {
        self.fatal.lock().expect("no panic under this lock").take()
    }
}

impl App for LoopApp {
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        Calling {
            stage: Stage::Begin(Box::new((self.0.clone(), scope, receiver, sender))),
        }
    }
}

/// The future of a call.
struct Calling {
    stage: Stage,
}

enum Stage {
    Begin(Box<(Arc<Interpreter>, Scope, Receiver, Sender)>),
    Running(Arc<Call>),
    Over,
}

impl Future for Calling {
    type Output = Result<(), AppError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Begin(_) = self.stage
            && let Stage::Begin(begin) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            let (interpreter, scope, receiver, sender) = *begin;
            let call = Call::new(interpreter, &scope, receiver, sender);
            self.stage = Stage::Running(call.clone());
            call.interpreter().steps.begin(call.clone(), scope);
        }
        let Stage::Running(call) = &self.stage else {
            return Poll::Pending;
        };
        if call.is_queued() && call.goes_before_its_connection() {
            Python::attach(|py| call.resume(py));
        }
        // A connection whose response is complete moves a call that has not ended to a task of its own.
        if call.may_be_done() {
            Python::attach(|py| call.end_if_done(py));
        }
        let end = ready!(call.poll_end(cx));
        self.stage = Stage::Over;
        Poll::Ready(end)
    }
}

impl Drop for Calling {
    /// Gives up a call whose end nobody asks for any more.
    fn drop(&mut self) {
        if let Stage::Running(call) = &self.stage {
            Python::attach(|py| call.give_up(py));
        }
    }
}
