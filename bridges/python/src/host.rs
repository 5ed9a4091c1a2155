//! A runtime of Tokio, and an application, in the event loop of this thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;

use crate::asgi::{Interpreter, LoopApp, Offer, Parts, Resumer};
use crate::guest::{self, Guest, TICK};

thread_local! {
    static RUNNING: RefCell<Option<Rc<Running>>> = const { RefCell::new(None) };
}

/// What the event loop of a thread calls so that a guest and the calls of an application go on.
///
/// It is the same for each thread, and has nothing of its own: the collector of cycles may drop it on any thread, with an
/// event loop that has ended.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(crate) struct Host;

#[derive(Debug)]
struct Running {
    guest: Rc<Guest>,
    interpreter: Arc<Interpreter>,
    event_loop: Py<PyAny>,
    tick: Py<PyAny>,
}

/// Returns what runs on this thread.
fn running() -> Option<Rc<Running>> {
    RUNNING.with_borrow(Clone::clone)
}

impl Host {
    /// Begins to run a guest in the event loop of these parts, which is that of this thread. Returns the guest and the application.
    pub(crate) fn start(parts: &Bound<'_, PyAny>, offer: Offer) -> PyResult<(Rc<Guest>, LoopApp)> {
        let py = parts.py();
        let host = Bound::new(py, Self)?;
        let event_loop = parts.getattr("event_loop")?;
        let guest = Guest::new()?;
        let turn = host.getattr("turn")?;
        let tick = host.getattr("tick")?;
        let resumer = Arc::new(Resumer::default());
        let app = LoopApp::new(
            py,
            parts.extract::<Parts>()?,
            turn.clone().unbind(),
            resumer.clone(),
            offer,
        )?;
        guest.spawn(resumer.run());
        let [driver, wakes] = guest.descriptors();
        event_loop.call_method1("add_reader", (driver, turn))?;
        event_loop.call_method1("add_reader", (wakes, host.getattr("woken")?))?;
        event_loop.call_method1("call_soon", (&tick,))?;
        let running = Running {
            guest: guest.clone(),
            interpreter: app.interpreter(),
            event_loop: event_loop.unbind(),
            tick: tick.unbind(),
        };
        RUNNING.set(Some(Rc::new(running)));
        Ok((guest, app))
    }

    /// Has the event loop call for a turn, if the guest runs.
    #[cfg(feature = "wheel")]
    pub(crate) fn schedule_turn(py: Python<'_>) -> PyResult<()> {
        match running() {
            Some(running) => running.interpreter.schedule_turn(py),
            None => Ok(()),
        }
    }

    /// Ends the use of the event loop.
    pub(crate) fn close(py: Python<'_>) -> PyResult<()> {
        if let Some(running) = RUNNING.take() {
            for descriptor in running.guest.descriptors() {
                running
                    .event_loop
                    .call_method1(py, "remove_reader", (descriptor,))?;
            }
            guest::close();
        }
        Ok(())
    }
}

#[pymethods]
impl Host {
    fn turn(&self, py: Python<'_>) -> PyResult<()> {
        let Some(running) = running() else {
            return Ok(());
        };
        if running.guest.turn() {
            running.interpreter.schedule_turn(py)?;
        }
        match running.interpreter.take_fatal() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn woken(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(running) = running() {
            running.guest.drain_wakes();
        }
        self.turn(py)
    }

    fn tick(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(running) = running() {
            let again = (TICK.as_secs_f64(), &running.tick);
            running
                .event_loop
                .call_method1(py, intern!(py, "call_later"), again)?;
        }
        self.turn(py)
    }
}
