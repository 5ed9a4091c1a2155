//! The tasks of calls, which take their first step at once.

use std::sync::{Mutex, MutexGuard};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Makes tasks.
#[derive(Debug)]
pub(super) struct Tasks {
    task_type: Py<PyAny>,
    /// The keywords with which a task is created.
    keywords: Py<PyDict>,
    /// What each task has a copy of; `None` for the context of the turn, which is that of the first server in the event loop.
    context: Option<Py<PyAny>>,
    /// `None` where the keywords have the first step taken at once.
    first_steps: Option<FirstSteps>,
}

/// How tasks take their first step at once before Python 3.12, which has `eager_start` for that.
///
/// A task asks its event loop for the first step, by `call_soon`, when it is made. Meanwhile the loop has a [`FirstStep`] as
/// its `call_soon`.
#[derive(Debug)]
struct FirstSteps {
    first_step: Py<FirstStep>,
    event_loop: Py<PyAny>,
    /// The attributes of the event loop itself, which go before those of its type.
    attributes: Py<PyDict>,
    /// The task that runs, by its event loop.
    running: Py<PyDict>,
}

impl Tasks {
    /// Makes tasks of this type with these keywords. `first_step` has the attributes of the event loop and the tasks that run,
    /// where the keywords do not have the first step taken.
    pub(super) fn new(
        py: Python<'_>,
        task_type: Py<PyAny>,
        keywords: Py<PyDict>,
        context: Option<Py<PyAny>>,
        event_loop: &Py<PyAny>,
        first_step: Option<(Py<PyDict>, Py<PyDict>)>,
    ) -> PyResult<Self> {
        let first_steps = first_step.map(|(attributes, running)| {
            let first_step = FirstStep {
                task_type: task_type.clone_ref(py),
                call_soon: event_loop.getattr(py, intern!(py, "call_soon"))?,
                captured: Mutex::default(),
            };
            PyResult::Ok(FirstSteps {
                first_step: Py::new(py, first_step)?,
                event_loop: event_loop.clone_ref(py),
                attributes,
                running,
            })
        });
        Ok(Self {
            task_type,
            keywords,
            context,
            first_steps: first_steps.transpose()?,
        })
    }

    /// Returns the task of this coroutine, which has taken its first step.
    pub(super) fn start<'py>(&self, coroutine: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = coroutine.py();
        let mut keywords = self.keywords.bind(py).clone();
        if let Some(context) = &self.context {
            keywords = keywords.copy()?;
            let copy = context.call_method0(py, intern!(py, "copy"))?;
            keywords.set_item(intern!(py, "context"), copy)?;
        }
        let make = || self.task_type.bind(py).call((coroutine,), Some(&keywords));
        match &self.first_steps {
            Some(first_steps) => first_steps.take(py, make),
            None => make(),
        }
    }
}

impl FirstSteps {
    /// Returns the task that `make` makes, which has taken its first step.
    fn take<'py>(
        &self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let attributes = self.attributes.bind(py);
        let name = intern!(py, "call_soon");
        let own = attributes.get_item(name)?;
        attributes.set_item(name, &self.first_step)?;
        let task = make();
        match own {
            Some(own) => attributes.set_item(name, own)?,
            None => attributes.del_item(name)?,
        }
        let task = task?;
        if let Some((step, context)) = self.first_step.get().captured() {
            // A task that runs its event loop inside of itself does not run meanwhile.
            let running = self.running.bind(py);
            let event_loop = self.event_loop.bind(py);
            let outer = running.get_item(event_loop)?;
            if outer.is_some() {
                running.del_item(event_loop)?;
            }
            let taken = context.call_method1(py, intern!(py, "run"), (step,));
            if outer.is_some() {
                running.set_item(event_loop, outer)?;
            }
            taken?;
        }
        Ok(task)
    }
}

/// Takes the first step of a task in place of the event loop.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
struct FirstStep {
    task_type: Py<PyAny>,
    /// That of the event loop.
    call_soon: Py<PyAny>,
    /// The step, and the context to take it in.
    captured: Mutex<Option<(Py<PyAny>, Py<PyAny>)>>,
}

impl FirstStep {
    fn captured(&self) -> Option<(Py<PyAny>, Py<PyAny>)> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Py<PyAny>, Py<PyAny>)>> {
        self.captured.lock().expect("no panic under this lock")
    }

    /// Returns whether this is a step of a task. A destructor that runs meanwhile may ask for something else.
    fn is_step(&self, callback: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = callback.py();
        match callback.getattr_opt(intern!(py, "__self__"))? {
            Some(task) => task.is_instance(self.task_type.bind(py)),
            None => Ok(false),
        }
    }
}

#[pymethods]
impl FirstStep {
    #[pyo3(signature = (callback, *arguments, context = None))]
    fn __call__<'py>(
        &self,
        callback: Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = callback.py();
        if let Some(context) = &context
            && arguments.is_empty()
            && self.is_step(&callback)?
        {
            let mut captured = self.lock();
            if captured.is_none() {
                *captured = Some((callback.unbind(), context.clone().unbind()));
                return Ok(None);
            }
        }
        let arguments = PyTuple::new(
            py,
            std::iter::once(callback)
                .chain(arguments)
                .collect::<Vec<_>>(),
        )?;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), context)?;
        self.call_soon
            .bind(py)
            .call(arguments, Some(&keywords))
            .map(Some)
    }
}
