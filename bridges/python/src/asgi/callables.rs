//! What Python calls of a call: `receive` and `send`, and the end of its task.

use std::sync::Arc;

use pyo3::prelude::*;

use super::awaitable::Awaitable;
use super::call::Call;

/// `receive`
///
/// Its type is marked as that of a coroutine function by the package in Python.
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, dict, module = "callgate._callgate")]
pub(crate) struct Receive(pub(super) Arc<Call>);

#[pymethods]
impl Receive {
    fn __call__(&self) -> Awaitable {
        Awaitable::receive(self.0.clone())
    }
}

/// `send`
///
/// Its type is marked as that of a coroutine function by the package in Python.
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, dict, module = "callgate._callgate")]
pub(crate) struct Send(pub(super) Arc<Call>);

#[pymethods]
impl Send {
    fn __call__(&self, message: Py<PyAny>) -> Awaitable {
        Awaitable::send(self.0.clone(), message)
    }
}

/// What is called when the task of a call has ended.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(super) struct Ended(pub(super) Arc<Call>);

#[pymethods]
impl Ended {
    fn __call__(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.in_server(py, || self.0.end_of_task(task))
    }
}
