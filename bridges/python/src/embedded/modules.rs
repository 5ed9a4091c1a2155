//! The modules of the package `callgate` that an application in a program in Rust needs.
//!
//! They are part of the program, under a name of their own: the package does not have to be installed, and may be.

use std::ffi::CString;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::native::{Native, log};
use crate::asgi::{Receive, Send};
use crate::wsgi;

/// The name of the package that the modules are in.
const PACKAGE: &str = "callgate_in_rust";

/// The modules, each after those that it imports. Those of the package `callgate` are links, because the source distribution
/// of the wheel has the package elsewhere.
const SOURCES: [(&str, &str); 3] = [
    ("_application", include_str!("_application.py")),
    ("_loop", include_str!("_loop.py")),
    ("_embedded", include_str!("embedded.py")),
];

static MODULES: PyOnceLock<Modules> = PyOnceLock::new();

/// The functions of the modules.
#[derive(Debug)]
pub(super) struct Modules {
    load: Py<PyAny>,
    run: Py<PyAny>,
    wsgi_parts: Py<PyAny>,
    unloadable: Py<PyAny>,
}

impl Modules {
    /// Returns the modules, which are made the first time.
    pub(super) fn get(py: Python<'_>) -> PyResult<&Self> {
        MODULES.get_or_try_init(py, || Self::new(py))
    }

    fn new(py: Python<'_>) -> PyResult<Self> {
        let package = PyModule::new(py, PACKAGE)?;
        // A module with a path is a package.
        package.setattr("__path__", [""; 0])?;
        package.add_function(wrap_pyfunction!(log, &package)?)?;
        let loaded = py.import("sys")?.getattr("modules")?;
        loaded.set_item(PACKAGE, &package)?;
        for (name, source) in SOURCES {
            let source = CString::new(source)?;
            // The folder is what tells the frames of these modules from those of the application.
            let file = CString::new(format!("<{PACKAGE}>/{name}.py"))?;
            let full_name = CString::new(format!("{PACKAGE}.{name}"))?;
            let module = PyModule::from_code(py, &source, &file, &full_name)?;
            package.setattr(name, module)?;
        }
        package
            .getattr("_loop")?
            .getattr("mark_as_coroutine_functions")?
            .call1((py.get_type::<Receive>(), py.get_type::<Send>()))?;
        let embedded = package.getattr("_embedded")?;
        Ok(Self {
            load: embedded.getattr("load")?.unbind(),
            run: embedded.getattr("run")?.unbind(),
            wsgi_parts: embedded.getattr("wsgi_parts")?.unbind(),
            unloadable: embedded.getattr("Unloadable")?.unbind(),
        })
    }

    /// Returns the application with these options, and what makes its event loop.
    pub(super) fn load(
        &self,
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        self.load.bind(py).call((), Some(options))?.extract()
    }

    /// Returns the parts of an application of WSGI; `None` for another.
    pub(super) fn wsgi_parts(
        &self,
        py: Python<'_>,
        app: &Py<PyAny>,
    ) -> PyResult<Option<wsgi::Parts>> {
        self.wsgi_parts.bind(py).call1((app,))?.extract()
    }

    /// Runs the event loop of an application until the program has no use for it.
    pub(super) fn run(
        &self,
        py: Python<'_>,
        native: &Bound<'_, Native>,
        app: Py<PyAny>,
        make_loop: Py<PyAny>,
    ) -> PyResult<()> {
        self.run.call1(py, (native, app, make_loop)).map(drop)
    }

    /// Returns why there is no application.
    pub(super) fn reason(py: Python<'_>, error: &PyErr) -> String {
        let is_told = MODULES
            .get(py)
            .is_some_and(|modules| error.matches(py, &modules.unloadable).unwrap_or(false));
        match is_told {
            true => error.value(py).to_string(),
            false => error.to_string(),
        }
    }
}
