//! Applications in Python, unchanged, on the server of Callgate: the native part of the wheel `callgate`.

mod asgi;
mod guest;
mod log;
mod settings;
mod worker;

/// The native part of the package `callgate`.
#[pyo3::pymodule]
mod _callgate {
    #[pymodule_export]
    use crate::asgi::{ClientDisconnected, Receive, Send};
    #[pymodule_export]
    use crate::settings::Settings;
    #[pymodule_export]
    use crate::worker::{ServeError, Worker};
}
