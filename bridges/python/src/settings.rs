//! The settings of a server, from its command line.

use std::ffi::OsString;
use std::path::PathBuf;

use callgate_server::Config;
use callgate_server::cli::Flags;
use clap::{CommandFactory as _, Parser};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

/// Serves an application in Python over HTTP/1.1, HTTP/2 and WebSocket
#[derive(Clone, Debug, Parser)]
#[command(name = "callgate", version)]
struct Arguments {
    /// The application: `module:attribute`
    #[arg(value_name = "MODULE:APP")]
    app: String,
    /// Call the attribute, without arguments, to get the application
    #[arg(long, env = "CALLGATE_FACTORY")]
    factory: bool,
    /// Look for the module in this folder first
    #[arg(long, value_name = "FOLDER", default_value = ".", env = "CALLGATE_APP_DIR")]
    app_dir: PathBuf,
    /// The event loop
    #[arg(long = "loop", value_name = "LOOP", default_value = "auto", value_parser = ["auto", "asyncio", "uvloop"], env = "CALLGATE_LOOP")]
    event_loop: String,
    #[command(flatten)]
    server: Flags,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(crate) struct Settings {
    arguments: Arguments,
    config: Config,
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }
}

#[pymethods]
impl Settings {
    /// Reads a command line without the name of the program. Exits as command lines do if it is wrong, or asks for help.
    #[new]
    fn new(arguments: Vec<OsString>) -> PyResult<Self> {
        let arguments: Vec<_> = std::iter::once("callgate".into()).chain(arguments).collect();
        let read = callgate_cli::read::<Arguments>(&Arguments::command(), &arguments);
        match read {
            Ok(arguments) => Ok(Self {
                config: arguments.server.clone().into_config(),
                arguments,
            }),
            Err(status) => {
                // An exit code tells nothing but whether it is that of success.
                let status = u8::from(status != std::process::ExitCode::SUCCESS) * callgate_cli::USAGE;
                Err(PySystemExit::new_err(status))
            }
        }
    }

    #[getter]
    fn app(&self) -> &str {
        &self.arguments.app
    }

    #[getter]
    fn factory(&self) -> bool {
        self.arguments.factory
    }

    #[getter]
    fn app_dir(&self) -> PathBuf {
        self.arguments.app_dir.clone()
    }

    #[getter]
    fn event_loop(&self) -> &str {
        &self.arguments.event_loop
    }
}
