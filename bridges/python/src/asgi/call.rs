//! One call of the application: its task, its `receive` and its `send`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker, ready};

use callgate::{
    AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress, Sender,
};
use callgate_drive::task;
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::{create_exception, intern};

use super::app::Interpreter;
use super::awaitable::{SendStep, Waiter};
use super::callables::{Ended, Receive, Send};
use super::cancelled::PATIENCE;
use super::event;
use super::exception::Exception;
use crate::guest;

create_exception!(
    callgate,
    ClientDisconnected,
    PyOSError,
    "What `send` raises when the client is gone."
);

/// A call of the application.
#[derive(Debug)]
pub(crate) struct Call {
    interpreter: Arc<Interpreter>,
    kind: Kind,
    is_queued: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    WebSocket,
    Lifespan,
    Unknown,
}

struct State {
    /// `None` once the call is over.
    channels: Option<Channels>,
    task: Option<Py<PyAny>>,
    receives: VecDeque<Py<Waiter>>,
    sends: VecDeque<Py<Waiter>>,
    end: Option<Result<(), AppError>>,
    end_waker: Option<Waker>,
    has_received: bool,
    has_sent: bool,
    /// Whether the application has sent its whole response.
    has_completed: bool,
    has_started: bool,
    has_trailers: bool,
    is_cancelled: bool,
    /// Whether the lifespan is to shut down, once no task is left that was cancelled.
    is_shutting_down: bool,
}

#[derive(Clone)]
struct Channels {
    receiver: Arc<dyn Channel>,
    sender: Arc<dyn Channel>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// What a send of the application has come to.
pub(super) enum SendOutcome {
    Done,
    /// The client is gone.
    Ignored,
    Waits(Py<Waiter>),
}

/// What a send has come to.
enum Sent {
    Done,
    Failed(SendError),
    Waiting(SendStep),
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
                end: None,
                end_waker: None,
                has_received: false,
                has_sent: false,
                has_completed: false,
                has_started: false,
                has_trailers: false,
                is_cancelled: false,
                is_shutting_down: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    pub(super) fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// Calls the application, and runs it until it waits for something.
    pub(super) fn begin(self: &Arc<Self>, py: Python<'_>, scope: &Scope) {
        if let Err(error) = self.try_begin(py, scope) {
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
        let keywords = interpreter.task_keywords.bind(py);
        let task = interpreter
            .task_type
            .bind(py)
            .call((coroutine,), Some(keywords))?;
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

    /// Records the end of the task.
    pub(super) fn end_of_task(self: &Arc<Self>, task: &Bound<'_, PyAny>) {
        let py = task.py();
        let result = task.call_method0(intern!(py, "result"));
        self.end(py, result.map(drop));
    }

    fn end(self: &Arc<Self>, py: Python<'_>, result: PyResult<()>) {
        let (has_received, has_sent, is_cancelled) = {
            let state = self.lock();
            (state.has_received, state.has_sent, state.is_cancelled)
        };
        if is_cancelled {
            self.interpreter.cancelled.remove();
        }
        let declines = self.kind == Kind::Lifespan && !has_sent;
        self.set_end(match result {
            Ok(()) if declines => Err(AppError::Unsupported),
            Ok(()) => Ok(()),
            Err(error)
                if error.is_instance_of::<PySystemExit>(py)
                    || error.is_instance_of::<PyKeyboardInterrupt>(py) =>
            {
                let description = error.to_string();
                self.interpreter.set_fatal(error);
                Err(AppError::failed(description))
            }
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

    fn set_end(self: &Arc<Self>, end: Result<(), AppError>) {
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

    /// Returns whether the channel may have something for those who wait.
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued.load(Ordering::Acquire)
    }

    /// Goes on with those who wait, as far as the channel has something for them.
    pub(super) fn resume(self: &Arc<Self>, py: Python<'_>) {
        self.is_queued.store(false, Ordering::Release);
        while let Some(waiter) = self.first(|state| &state.receives, py) {
            match self.poll_receive(py) {
                Poll::Ready(event) => {
                    self.forget(|state| &mut state.receives, &waiter);
                    waiter.get().complete(py, &waiter, event);
                }
                Poll::Pending => break,
            }
        }
        while let Some(waiter) = self.first(|state| &state.sends, py) {
            let Some(step) = waiter.get().take_step() else {
                self.forget(|state| &mut state.sends, &waiter);
                continue;
            };
            match self.poll_send(step) {
                Sent::Waiting(step) => {
                    waiter.get().set_step(step);
                    break;
                }
                sent => {
                    let outcome = match sent {
                        Sent::Failed(error) if !self.ignores(&error) => Err(raised(error)),
                        _ => Ok(py.None()),
                    };
                    self.forget(|state| &mut state.sends, &waiter);
                    waiter.get().complete(py, &waiter, outcome);
                }
            }
        }
    }

    fn first(
        &self,
        queue: fn(&State) -> &VecDeque<Py<Waiter>>,
        py: Python<'_>,
    ) -> Option<Py<Waiter>> {
        queue(&self.lock())
            .front()
            .map(|waiter| waiter.clone_ref(py))
    }

    /// Removes a waiter that has completed, or that was cancelled.
    fn forget(&self, queue: fn(&mut State) -> &mut VecDeque<Py<Waiter>>, waiter: &Py<Waiter>) {
        let mut state = self.lock();
        let queue = queue(&mut state);
        let _removed = queue
            .iter()
            .position(|other| other.is(waiter))
            .and_then(|index| queue.remove(index));
    }

    /// Removes a waiter that was cancelled.
    pub(super) fn forget_any(&self, waiter: &Py<Waiter>) {
        self.forget(|state| &mut state.receives, waiter);
        self.forget(|state| &mut state.sends, waiter);
    }

    /// Asks the channel for the next event.
    pub(super) fn poll_receive(self: &Arc<Self>, py: Python<'_>) -> Poll<PyResult<Py<PyAny>>> {
        let channels = self.lock().channels.clone();
        let Some(channels) = channels else {
            return Poll::Ready(event::disconnect(py, self.kind));
        };
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        if self.lock().is_shutting_down {
            return self.poll_shutdown(py, &mut cx);
        }
        loop {
            match channels.receiver.poll_receive(&mut cx) {
                Poll::Ready(ReceiveEvent::LifespanShutdown) => {
                    self.lock().is_shutting_down = true;
                    let interpreter = self.interpreter.clone();
                    task::spawn(async move {
                        tokio::time::sleep(PATIENCE).await;
                        interpreter.cancelled.give_up();
                    });
                    return self.poll_shutdown(py, &mut cx);
                }
                // Some frameworks fail at events that ASGI does not have.
                Poll::Ready(ReceiveEvent::HttpShutdown)
                    if !self.interpreter.offer.has_http_shutdown => {}
                Poll::Ready(received) => {
                    self.lock().has_received = true;
                    return Poll::Ready(event::to_python(py, &received));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Returns the event of a shutdown of the lifespan once no task is left that was cancelled.
    fn poll_shutdown(&self, py: Python<'_>, cx: &mut Context<'_>) -> Poll<PyResult<Py<PyAny>>> {
        ready!(self.interpreter.cancelled.poll_none(cx));
        self.lock().is_shutting_down = false;
        Poll::Ready(event::to_python(py, &ReceiveEvent::LifespanShutdown))
    }

    /// Sends an event, as far as the channel takes it now.
    fn poll_send(self: &Arc<Self>, step: SendStep) -> Sent {
        let channels = self.lock().channels.clone();
        let Some(channels) = channels else {
            return Sent::Failed(SendError::Disconnected);
        };
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        let mut rest = match step {
            SendStep::Rest(rest) => rest,
            SendStep::Whole(event) => {
                let mut event = Some(event);
                let started = channels.sender.poll_start_send(&mut cx, &mut event);
                match started {
                    Poll::Pending => {
                        let event = event.expect("a pending send leaves its event");
                        return Sent::Waiting(SendStep::Whole(event));
                    }
                    Poll::Ready(Err(error)) => return Sent::Failed(error),
                    Poll::Ready(Ok(SendProgress::Sent)) => return Sent::Done,
                    Poll::Ready(Ok(SendProgress::Pending(rest))) => rest,
                }
            }
        };
        match rest.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(())) => Sent::Done,
            Poll::Ready(Err(error)) => Sent::Failed(error),
            Poll::Pending => Sent::Waiting(SendStep::Rest(rest)),
        }
    }

    /// Sends an event of the application.
    pub(super) fn send(
        self: &Arc<Self>,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
    ) -> PyResult<SendOutcome> {
        let event = event::from_python(event)?;
        let must_wait = {
            let mut state = self.lock();
            if self.kind == Kind::Lifespan && !is_of_lifespan(&event) {
                let reason = format!("`{}` in a lifespan scope", event.type_name());
                return Err(PyRuntimeError::new_err(reason));
            }
            // ASGI leaves it to the server what is sent after the end, or out of place, and servers ignore it.
            if self.kind == Kind::Http && state.ignores_event(&event) {
                return Ok(SendOutcome::Done);
            }
            state.note(&event);
            !state.sends.is_empty()
        };
        let step = SendStep::Whole(event);
        if must_wait {
            return self.wait_to_send(py, step).map(SendOutcome::Waits);
        }
        match self.poll_send(step) {
            Sent::Done => Ok(SendOutcome::Done),
            Sent::Failed(error) if self.ignores(&error) => Ok(SendOutcome::Ignored),
            Sent::Failed(error) => Err(raised(error)),
            Sent::Waiting(step) => self.wait_to_send(py, step).map(SendOutcome::Waits),
        }
    }

    /// Returns whether the failure of a send is none for the application: before version 2.4 of ASGI's specification of
    /// HTTP, what is sent to a client that is gone is ignored, so that work after the response goes on.
    fn ignores(&self, error: &SendError) -> bool {
        self.kind == Kind::Http && matches!(error, SendError::Disconnected)
    }

    fn wait_to_send(self: &Arc<Self>, py: Python<'_>, step: SendStep) -> PyResult<Py<Waiter>> {
        let waiter = Py::new(py, Waiter::new(self.clone(), Some(step)))?;
        self.lock().sends.push_back(waiter.clone_ref(py));
        Ok(waiter)
    }

    /// Waits for an event, after those who wait already.
    pub(super) fn wait_to_receive(self: &Arc<Self>, py: Python<'_>) -> PyResult<Py<Waiter>> {
        let waiter = Py::new(py, Waiter::new(self.clone(), None))?;
        self.lock().receives.push_back(waiter.clone_ref(py));
        Ok(waiter)
    }

    pub(super) fn has_waiting_receives(&self) -> bool {
        !self.lock().receives.is_empty()
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

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.interpreter.resumer.push(self.clone());
        }
    }
}

impl State {
    /// Notes what the application sends.
    fn note(&mut self, event: &SendEvent) {
        self.has_sent = true;
        self.has_completed |= match event {
            SendEvent::HttpResponseStart(start) => {
                self.has_started = true;
                self.has_trailers = start.trailers;
                false
            }
            SendEvent::HttpResponseBody(body) => !body.more_body && !self.has_trailers,
            SendEvent::HttpResponsePathSend(_) => !self.has_trailers,
            SendEvent::HttpResponseTrailers(trailers) => !trailers.more_trailers,
            _ => false,
        };
    }

    fn ignores_event(&self, event: &SendEvent) -> bool {
        let is_late_hint = self.has_started && matches!(event, SendEvent::HttpResponseEarlyHint(_));
        self.has_completed || is_late_hint
    }
}

fn is_of_lifespan(event: &SendEvent) -> bool {
    matches!(
        event,
        SendEvent::LifespanStartupComplete(_)
            | SendEvent::LifespanStartupFailed(_)
            | SendEvent::LifespanShutdownComplete(_)
            | SendEvent::LifespanShutdownFailed(_)
    )
}

/// Returns the exception for a send that has failed.
fn raised(error: SendError) -> PyErr {
    match error {
        SendError::Disconnected => ClientDisconnected::new_err("the client is gone"),
        error => PyRuntimeError::new_err(error.to_string()),
    }
}
