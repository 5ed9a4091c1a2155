//! The flags that name an application of ASGI in Python.

use std::path::PathBuf;
use std::time::Duration;

use super::command_error::CommandError;
use crate::asgi_app::{AsgiApps, AsgiTarget};

/// The time in which an application must be imported.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// The application that a command is about, in place of one of this program.
#[derive(Debug, clap::Args)]
pub(super) struct PythonApp {
    /// An application of ASGI 3 in Python, as MODULE:ATTRIBUTE
    #[arg(long, value_name = "APP", value_parser = asgi_name)]
    asgi: Option<String>,

    /// Call the attribute of --asgi for the application
    #[arg(long, requires = "asgi")]
    factory: bool,

    /// The directory in which the module of --asgi is found
    #[arg(long, value_name = "DIRECTORY", default_value = ".", requires = "asgi")]
    app_dir: PathBuf,

    /// The interpreter for --asgi
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "python3",
        env = "CALLGATE_PYTHON"
    )]
    python: PathBuf,
}

impl PythonApp {
    /// Returns the name of the application, if one is named.
    pub(super) fn name(&self) -> Option<&String> {
        self.asgi.as_ref()
    }

    /// Imports the application, if one is named. `timeout` is the time to wait for an application that does nothing,
    /// and `cannot` what the command cannot do without the application.
    pub(super) fn import(
        &self,
        timeout: Duration,
        cannot: &str,
    ) -> Result<Option<AsgiApps>, CommandError> {
        let Some(name) = &self.asgi else {
            return Ok(None);
        };
        let cannot = |reason| CommandError::startup(format!("cannot {cannot} `{name}`: {reason}"));
        let directory = std::path::absolute(&self.app_dir)
            .map_err(|error| cannot(format!("{}: {error}", self.app_dir.display())))?;
        let target = AsgiTarget {
            name: name.clone(),
            is_factory: self.factory,
            directory,
            python: self.python.clone(),
            import_timeout: IMPORT_TIMEOUT,
            // The suite abandons a call that blocks the event loop for as long as the timeout.
            patience: timeout * 2 + Duration::from_secs(1),
        };
        AsgiApps::import(target).map(Some).map_err(cannot)
    }

    /// Says if the start-up of the application has raised an exception.
    pub(super) fn note_declined_startup(&self, apps: &AsgiApps) {
        if let (Some(name), Some(error)) = (&self.asgi, apps.declined_startup()) {
            eprintln!(
                "note: the start-up of `{name}` raised an exception, by which ASGI takes it to have no lifespan: {error} \
                 (`lifespan.startup.failed` says that a start-up has failed)"
            );
        }
    }
}

fn asgi_name(text: &str) -> Result<String, &'static str> {
    let is_given = |(module, attribute): (&str, &str)| !module.is_empty() && !attribute.is_empty();
    match text.split_once(':').is_some_and(is_given) {
        true => Ok(text.to_owned()),
        false => Err("an application is MODULE:ATTRIBUTE, such as main:app"),
    }
}
