//! What `receive` and `send` return.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use callgate::{PendingSend, SendEvent};
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::call::Call;
use super::channel::SendOutcome;

/// A `receive` or a `send` as a coroutine, so that it can be awaited and can be made a task.
#[derive(Debug)]
#[pyclass(frozen, freelist = 256, module = "callgate._callgate")]
pub(crate) struct Awaitable {
    call: Arc<Call>,
    step: Mutex<Step>,
}

#[derive(Debug)]
enum Step {
    /// A `receive` that nobody has awaited.
    Receive,
    /// A `send` of this event that nobody has awaited.
    Send(Py<PyAny>),
    Waiting(Py<Waiter>),
    /// It ends at its next step.
    Ending,
    Spent,
}

/// What is left of a send.
pub(super) enum SendStep {
    Whole(SendEvent),
    Rest(PendingSend),
}

impl Awaitable {
    pub(super) fn receive(call: Arc<Call>) -> Self {
        Self::new(call, Step::Receive)
    }

    pub(super) fn send(call: Arc<Call>, event: Py<PyAny>) -> Self {
        Self::new(call, Step::Send(event))
    }

    fn new(call: Arc<Call>, step: Step) -> Self {
        let step = Mutex::new(step);
        Self { call, step }
    }

    fn lock(&self) -> MutexGuard<'_, Step> {
        self.step.lock().expect("no panic under this lock")
    }

    /// Takes a step: yields what is waited for, or ends. `None` is the end without a value.
    fn advance(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let step = std::mem::replace(&mut *self.lock(), Step::Spent);
        match step {
            Step::Receive => self.begin_to_receive(py),
            Step::Send(event) => {
                let sent = self
                    .call
                    .in_server(py, || self.call.send(py, event.bind(py)))?;
                match sent? {
                    SendOutcome::Done => Ok(None),
                    SendOutcome::Ignored => {
                        // An application that sends without an end must not hold the event loop.
                        *self.lock() = Step::Ending;
                        Ok(Some(py.None()))
                    }
                    SendOutcome::Waits(waiter) => Ok(Some(self.wait_for(py, waiter))),
                }
            }
            Step::Waiting(waiter) => match waiter.get().take_outcome() {
                Some(outcome) => returned(py, outcome),
                None => Ok(Some(self.wait_for(py, waiter))),
            },
            Step::Ending => Ok(None),
            Step::Spent => Err(PyRuntimeError::new_err(
                "cannot reuse already awaited coroutine",
            )),
        }
    }

    fn wait_for(&self, py: Python<'_>, waiter: Py<Waiter>) -> Py<PyAny> {
        let yielded = waiter.clone_ref(py).into_any();
        *self.lock() = Step::Waiting(waiter);
        yielded
    }

    fn begin_to_receive(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if !self.call.has_waiting_receives() {
            let polled = self.call.in_server(py, || self.call.poll_receive(py))?;
            if let Poll::Ready(outcome) = polled {
                return returned(py, outcome);
            }
        }
        let waiter = self.call.wait_to_receive(py)?;
        Ok(Some(self.wait_for(py, waiter)))
    }
}

/// Ends an iterator with this outcome.
fn returned(py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    let value = outcome?;
    match value.is_none(py) {
        true => Ok(None),
        false => Err(PyStopIteration::new_err((value,))),
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.advance(py)
    }

    #[pyo3(name = "send")]
    fn send_value(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.advance(py)?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value = None, _traceback = None))]
    fn throw(
        &self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.close();
        // The form with a type is deprecated, and callers still use it.
        let exception = match value {
            Some(value) if value.is_instance(&kind).unwrap_or(false) => value,
            Some(value) => kind.call1((value,))?,
            None if kind.is_callable() => kind.call0()?,
            None => kind,
        };
        Err(PyErr::from_value(exception))
    }

    fn close(&self) {
        let step = std::mem::replace(&mut *self.lock(), Step::Spent);
        if let Step::Waiting(waiter) = step {
            self.call.forget_any(&waiter);
        }
    }
}

/// What a task waits for: it speaks the protocol of futures of asyncio.
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, module = "callgate._callgate")]
pub(crate) struct Waiter {
    call: Arc<Call>,
    is_blocking: AtomicBool,
    state: Mutex<WaiterState>,
}

#[derive(Default)]
struct WaiterState {
    send: Option<SendStep>,
    outcome: Option<PyResult<Py<PyAny>>>,
    is_done: bool,
    /// The message of the cancellation.
    cancelled: Option<Option<Py<PyAny>>>,
    callbacks: Vec<(Py<PyAny>, Option<Py<PyAny>>)>,
}

impl std::fmt::Debug for WaiterState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaiterState")
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}

impl Waiter {
    pub(super) fn new(call: Arc<Call>, send: Option<SendStep>) -> Self {
        let state = WaiterState {
            send,
            ..WaiterState::default()
        };
        Self {
            call,
            is_blocking: AtomicBool::new(true),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaiterState> {
        self.state.lock().expect("no panic under this lock")
    }

    pub(super) fn take_step(&self) -> Option<SendStep> {
        self.lock().send.take()
    }

    pub(super) fn set_step(&self, step: SendStep) {
        self.lock().send = Some(step);
    }

    fn take_outcome(&self) -> Option<PyResult<Py<PyAny>>> {
        self.lock().outcome.take()
    }

    /// Ends the wait, and has those who wait go on at once.
    ///
    /// No task runs meanwhile: this is called in a turn only.
    pub(super) fn complete(&self, py: Python<'_>, this: &Py<Self>, outcome: PyResult<Py<PyAny>>) {
        let callbacks = {
            let mut state = self.lock();
            state.outcome = Some(outcome);
            state.is_done = true;
            std::mem::take(&mut state.callbacks)
        };
        for (callback, context) in callbacks {
            let called = match &context {
                Some(context) => context.call_method1(py, intern!(py, "run"), (callback, this)),
                None => callback.call1(py, (this,)),
            };
            let interpreter = self.call.interpreter();
            if let Err(error) = called
                && !interpreter.end_loop_at_exit(py, &error)
            {
                interpreter.report(py, &error);
            }
        }
    }
}

#[pymethods]
impl Waiter {
    #[getter]
    fn _asyncio_future_blocking(&self) -> bool {
        self.is_blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_is_blocking(&self, value: bool) {
        self.is_blocking.store(value, Ordering::Relaxed);
    }

    fn get_loop<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.call.interpreter().event_loop.bind(py).clone()
    }

    #[pyo3(signature = (callback, *, context = None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let waiter = slf.get();
        {
            let mut state = waiter.lock();
            if !state.is_done {
                state.callbacks.push((callback, context));
                return Ok(());
            }
        }
        waiter.call_soon(py, slf.as_any(), &callback, context.as_ref())
    }

    fn remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let callbacks = std::mem::take(&mut self.lock().callbacks);
        let before = callbacks.len();
        let mut kept = Vec::with_capacity(before);
        for (other, context) in callbacks {
            if !other.bind(callback.py()).eq(callback)? {
                kept.push((other, context));
            }
        }
        let removed = before - kept.len();
        self.lock().callbacks = kept;
        Ok(removed)
    }

    fn done(&self) -> bool {
        self.lock().is_done
    }

    fn cancelled(&self) -> bool {
        self.lock().cancelled.is_some()
    }

    /// The awaitable has the value; this tells a cancellation only.
    fn result(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.lock();
        match &state.cancelled {
            None => Ok(()),
            Some(None) => Err(CancelledError::new_err(())),
            Some(Some(message)) => Err(CancelledError::new_err((message.clone_ref(py),))),
        }
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }

    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let waiter = slf.get();
        let callbacks = {
            let mut state = waiter.lock();
            if state.is_done {
                return Ok(false);
            }
            state.is_done = true;
            state.cancelled = Some(msg);
            state.send = None;
            std::mem::take(&mut state.callbacks)
        };
        waiter.call.forget_any(slf.as_unbound());
        for (callback, context) in callbacks {
            waiter.call_soon(py, slf.as_any(), &callback, context.as_ref())?;
        }
        Ok(true)
    }
}

impl Waiter {
    fn call_soon(
        &self,
        py: Python<'_>,
        this: &Bound<'_, PyAny>,
        callback: &Py<PyAny>,
        context: Option<&Py<PyAny>>,
    ) -> PyResult<()> {
        let call_soon = self.call.interpreter().call_soon.bind(py);
        let keywords = match context {
            Some(context) => {
                let keywords = PyDict::new(py);
                keywords.set_item(intern!(py, "context"), context)?;
                Some(keywords)
            }
            None => None,
        };
        call_soon
            .call((callback, this), keywords.as_ref())
            .map(drop)
    }
}
