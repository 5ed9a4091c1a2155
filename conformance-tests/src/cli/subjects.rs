//! The applications and the server that a program brings to its command line.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use callgate::BoxApp;

use super::command_error::CommandError;
use crate::probe::Probe;

/// The applications and the server that a program brings to its command line.
#[derive(Debug, Default)]
pub struct Subjects {
    pub(super) server: Option<NamedServer>,
    pub(super) apps: Vec<NamedApp>,
}

#[derive(Debug)]
pub(super) struct NamedServer {
    pub(super) name: String,
    pub(super) serve: fn(Probe, Vec<OsString>) -> ExitCode,
}

pub(super) struct NamedApp {
    pub(super) name: String,
    pub(super) make: Arc<dyn Fn() -> BoxApp + Send + Sync>,
}

impl fmt::Debug for NamedApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NamedApp").field(&self.name).finish()
    }
}

impl Subjects {
    /// Creates an empty set of subjects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the server that `server` checks when no flag selects another, and its name in the report.
    ///
    /// `serve` is called in a process of its own, which a case stops. It gets the application to
    /// serve, and flags: `--port` and a port of the loopback interface, then those that
    /// [`ServerSettings::flags`](crate::ServerSettings::flags) returns.
    #[must_use]
    pub fn server(
        mut self,
        name: impl Into<String>,
        serve: fn(Probe, Vec<OsString>) -> ExitCode,
    ) -> Self {
        self.server = Some(NamedServer {
            name: name.into(),
            serve,
        });
        self
    }

    /// Adds an application, which `app` checks and `replay` calls by this name. `make` is called more
    /// than once, because an application starts up once.
    #[must_use]
    pub fn app(
        mut self,
        name: impl Into<String>,
        make: impl Fn() -> BoxApp + Send + Sync + 'static,
    ) -> Self {
        self.apps.push(NamedApp {
            name: name.into(),
            make: Arc::new(make),
        });
        self
    }
}

/// Returns the application with this name.
pub(super) fn find_app<'a>(name: &str, apps: &'a [NamedApp]) -> Result<&'a NamedApp, CommandError> {
    apps.iter().find(|app| app.name == name).ok_or_else(|| {
        let names: Vec<_> = apps.iter().map(|app| app.name.as_str()).collect();
        CommandError::usage(format!(
            "there is no application `{name}` (choose from: {})",
            names.join(", ")
        ))
    })
}
