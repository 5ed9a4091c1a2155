//! Applications in Python (ASGI, WSGI), unchanged.
//!
//! [`AsgiApp`] is an application in Python as an application of a program in Rust, beside those in Rust:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use callgate_python::AsgiApp;
//!
//! fn main() -> ExitCode {
//!     match AsgiApp::load("main:app") {
//!         Ok(app) => serve(app),
//!         Err(error) => {
//!             eprintln!("error: {error}");
//!             ExitCode::FAILURE
//!         }
//!     }
//! }
//! # fn serve(_: impl callgate::App) -> ExitCode { ExitCode::SUCCESS }
//! ```
//!
//! The feature `wheel` is the other way around: the server as an extension of Python, the native part of the wheel
//! `callgate`.

mod asgi;
mod embedded;
mod guest;
mod host;
#[cfg(feature = "wheel")]
mod log;
#[cfg(feature = "wheel")]
mod server_thread;
#[cfg(feature = "wheel")]
mod settings;
mod tolerance;
#[cfg(feature = "wheel")]
mod worker;
mod wsgi;

pub use self::embedded::{AsgiApp, EventLoop, Interface, LoadError, Loader};

/// The native part of the package `callgate`.
#[cfg(feature = "wheel")]
#[pyo3::pymodule(gil_used = true)]
mod _callgate {
    #[pymodule_export]
    use crate::asgi::{ClientDisconnected, Receive, Send};
    #[pymodule_export]
    use crate::host::Host;
    #[pymodule_export]
    use crate::settings::Settings;
    #[pymodule_export]
    use crate::worker::{ServeError, Worker};
}
