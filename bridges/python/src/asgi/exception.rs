//! An exception of the application, as the error that ends its call.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

thread_local! {
    /// The exception that was formatted since [`formatted_by`] was called; the outer `None` while it is not.
    static FORMATTED: RefCell<Option<Option<Arc<Py<PyBaseException>>>>> = const { RefCell::new(None) };
}

/// An exception with which a call has ended.
///
/// The server knows the text only, and has it in its line about the call. What writes the line finds the exception by
/// [`formatted_by`].
#[derive(Debug)]
pub(crate) struct Exception {
    text: String,
    pub(super) value: Arc<Py<PyBaseException>>,
}

impl Exception {
    pub(crate) fn new(py: Python<'_>, error: PyErr) -> Self {
        Self {
            text: error.to_string(),
            value: Arc::new(error.into_value(py)),
        }
    }

    /// Returns the exception as Rust has it.
    pub(crate) fn to_error(&self, py: Python<'_>) -> PyErr {
        PyErr::from_value(self.value.bind(py).clone().into_any())
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FORMATTED.with_borrow_mut(|formatted| {
            if let Some(formatted) = formatted {
                // The server may format it without Python.
                *formatted = Some(self.value.clone());
            }
        });
        f.write_str(&self.text)
    }
}

impl Error for Exception {}

/// Returns what `f` returns, and the exception of the application whose text it has formatted.
#[cfg(feature = "wheel")]
pub(crate) fn formatted_by<T>(f: impl FnOnce() -> T) -> (T, Option<Arc<Py<PyBaseException>>>) {
    FORMATTED.set(Some(None));
    let result = f();
    (result, FORMATTED.take().flatten())
}
