//! What a call receives and sends: the channel between the application and its server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker, ready};

use callgate::{ReceiveEvent, SendError, SendEvent, SendProgress};
use callgate_drive::task;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::awaitable::{SendStep, Waiter};
use super::call::{Call, ClientDisconnected, Kind, State};
use super::cancelled::CANCEL_TIMEOUT;
use super::event;
use crate::tolerance::Broken;

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
                        Sent::Failed(error) if !self.ignores(&error) => Err(self.raised(error)),
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
                        tokio::time::sleep(CANCEL_TIMEOUT).await;
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
                let has_traceback = self.kind == Kind::Lifespan && has_traceback(&event);
                let mut event = Some(event);
                let started = channels.sender.poll_start_send(&mut cx, &mut event);
                if has_traceback && matches!(started, Poll::Ready(Ok(_))) {
                    self.lock().has_told_traceback = true;
                }
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
        let mut broken = Broken::default();
        let mut event = event::from_python(event, &mut broken)?;
        let (is_sent, must_wait) = {
            let mut state = self.lock();
            if self.kind == Kind::Lifespan && !is_of_lifespan(&event) {
                let reason = format!("`{}` in a lifespan scope", event.type_name());
                return Err(PyRuntimeError::new_err(reason));
            }
            state.has_sent = true;
            let is_sent = state.progress.take(&mut event, &mut broken);
            (is_sent, !state.sends.is_empty())
        };
        self.interpreter.tolerance.warn(broken);
        if !is_sent {
            return Ok(SendOutcome::Done);
        }
        let step = SendStep::Whole(event);
        if must_wait {
            return self.wait_to_send(py, step).map(SendOutcome::Waits);
        }
        match self.poll_send(step) {
            Sent::Done => Ok(SendOutcome::Done),
            Sent::Failed(error) if self.ignores(&error) => Ok(SendOutcome::Ignored),
            Sent::Failed(error) => Err(self.raised(error)),
            Sent::Waiting(step) => self.wait_to_send(py, step).map(SendOutcome::Waits),
        }
    }

    /// Returns whether a send that has failed raises nothing. Before version 2.4 of the specification of HTTP, ASGI has a server
    /// ignore what is sent to a client that is gone, so that work after the response goes on.
    fn ignores(&self, error: &SendError) -> bool {
        self.kind == Kind::Http && matches!(error, SendError::Disconnected)
    }

    /// Returns the exception for a send that has failed.
    fn raised(&self, error: SendError) -> PyErr {
        match error {
            SendError::Disconnected => ClientDisconnected::new_err("the client is gone"),
            error @ SendError::Violation(_) => PyRuntimeError::new_err(error.to_string()),
            error => {
                self.lock().progress.undo();
                PyRuntimeError::new_err(error.to_string())
            }
        }
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
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.interpreter.steps.resume(self.clone());
        }
    }
}

/// Returns whether this tells the traceback of an exception with which the lifespan has failed.
fn has_traceback(event: &SendEvent) -> bool {
    let message = match event {
        SendEvent::LifespanStartupFailed(failed) => &failed.message,
        SendEvent::LifespanShutdownFailed(failed) => &failed.message,
        _ => return false,
    };
    message.contains("Traceback (most recent call last)")
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
