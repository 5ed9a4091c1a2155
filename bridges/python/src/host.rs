//! A runtime of Tokio, and an application, in the event loop of this thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;

use crate::asgi::{Interpreter, LoopApp, Offer, Parts, Steps};
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

/// What runs in an event loop: one guest, and the applications of all servers there.
#[derive(Debug)]
struct Running {
    guest: Rc<Guest>,
    applications: RefCell<Vec<Arc<Interpreter>>>,
    event_loop: Py<PyAny>,
    tick: Py<PyAny>,
}

/// Returns what runs on this thread.
fn running() -> Option<Rc<Running>> {
    RUNNING.with_borrow(Clone::clone)
}

impl Running {
    /// Begins to run a guest in this event loop, which is that of this thread.
    fn start(host: &Bound<'_, Host>, event_loop: &Bound<'_, PyAny>) -> PyResult<Rc<Self>> {
        let guest = Guest::new()?;
        let tick = host.getattr("tick")?;
        let [driver, wakes] = guest.descriptors();
        event_loop.call_method1("add_reader", (driver, host.getattr("turn")?))?;
        event_loop.call_method1("add_reader", (wakes, host.getattr("woken")?))?;
        event_loop.call_method1("call_soon", (&tick,))?;
        let running = Rc::new(Self {
            guest,
            applications: RefCell::default(),
            event_loop: event_loop.clone().unbind(),
            tick: tick.unbind(),
        });
        RUNNING.set(Some(running.clone()));
        Ok(running)
    }

    /// Has the event loop call for a turn.
    fn schedule_turn(&self, py: Python<'_>) -> PyResult<()> {
        // Python may start a server meanwhile.
        let application = self.applications.borrow().first().cloned();
        application.map_or(Ok(()), |application| application.schedule_turn(py))
    }

    /// Returns the exception with which the event loop is to end.
    fn take_fatal(&self) -> Option<PyErr> {
        let applications = self.applications.borrow();
        applications
            .iter()
            .find_map(|application| application.take_fatal())
    }
}

impl Host {
    /// Begins to run an application in the event loop of these parts, which is that of this thread. Returns the guest, which all
    /// servers in this event loop share, and the application.
    pub(crate) fn start(parts: &Bound<'_, PyAny>, offer: Offer) -> PyResult<(Rc<Guest>, LoopApp)> {
        let py = parts.py();
        let host = Bound::new(py, Self)?;
        let event_loop = parts.getattr("event_loop")?;
        // An event loop that has ended may have left something behind.
        let running = running().filter(|running| running.event_loop.is(&event_loop));
        let shares_event_loop = running.is_some();
        let running = match running {
            Some(running) => running,
            None => Running::start(&host, &event_loop)?,
        };
        let steps = Arc::new(Steps::default());
        let app = LoopApp::new(
            py,
            parts.extract::<Parts>()?,
            host.getattr("turn")?.unbind(),
            steps.clone(),
            offer,
            shares_event_loop,
        )?;
        running.guest.spawn(steps.run());
        running.applications.borrow_mut().push(app.interpreter());
        Ok((running.guest.clone(), app))
    }

    /// Has the event loop call for a turn, if the guest runs.
    #[cfg(feature = "wheel")]
    pub(crate) fn schedule_turn(py: Python<'_>) -> PyResult<()> {
        match running() {
            Some(running) => running.schedule_turn(py),
            None => Ok(()),
        }
    }

    /// Ends the use of the event loop by an application. The last one ends the guest.
    pub(crate) fn close(py: Python<'_>, application: &Arc<Interpreter>) -> PyResult<()> {
        let Some(running) = running() else {
            return Ok(());
        };
        application.steps.close();
        let is_last = {
            let mut applications = running.applications.borrow_mut();
            applications.retain(|other| !Arc::ptr_eq(other, application));
            applications.is_empty()
        };
        if !is_last {
            return Ok(());
        }
        RUNNING.set(None);
        for descriptor in running.guest.descriptors() {
            running
                .event_loop
                .call_method1(py, "remove_reader", (descriptor,))?;
        }
        guest::close();
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
            running.schedule_turn(py)?;
        }
        match running.take_fatal() {
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
