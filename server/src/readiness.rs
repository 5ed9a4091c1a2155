//! Whether the server is ready to serve, and the response that tells so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use callgate::{
    App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendError, Sender,
};
use callgate_drive::Escaped;
use http::{Method, StatusCode, header};

use crate::monitoring::{Failure, Monitoring};

/// Whether the server is ready to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Readiness {
    /// The start-up of the application is not complete.
    Starting,
    /// Connections are accepted.
    Ready,
    /// The server has been told to stop, and serves perhaps for some time yet.
    Stopping,
}

impl Readiness {
    pub(crate) const ALL: [Self; 3] = [Self::Starting, Self::Ready, Self::Stopping];

    #[cfg(feature = "metrics")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        }
    }
}

/// Who asks whether the server is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A peer of the admin listener, who learns why a check has failed.
    Operator,
    /// A client of the public addresses, who learns which check has failed.
    Client,
}

/// The present readiness of a server, and the checks of its application. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SharedReadiness {
    readiness: Arc<AtomicU8>,
    monitoring: Monitoring,
}

impl SharedReadiness {
    pub(crate) fn new(monitoring: Monitoring) -> Self {
        Self {
            readiness: Arc::default(),
            monitoring,
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn monitoring(&self) -> &Monitoring {
        &self.monitoring
    }

    pub(crate) fn get(&self) -> Readiness {
        Readiness::ALL[usize::from(self.readiness.load(Ordering::Acquire))]
    }

    pub(crate) fn set(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Release);
    }

    /// Responds with 200 if the server is ready and all checks of the application succeed, and otherwise
    /// with 503 and what is not ready.
    pub(crate) async fn respond(&self, asker: Asker, sender: &Sender) -> Result<(), SendError> {
        let unready = match self.get() {
            Readiness::Starting => "starting\n".into(),
            Readiness::Ready => describe(&self.monitoring.failures().await, asker),
            Readiness::Stopping => "stopping\n".into(),
        };
        let (status, text) = match unready.is_empty() {
            true => (StatusCode::OK, "ok\n".into()),
            false => (StatusCode::SERVICE_UNAVAILABLE, unready),
        };
        let head = HttpResponseStart::new(status)
            .header(header::CONTENT_TYPE, "text/plain")
            .header(header::CACHE_CONTROL, "no-store");
        sender.send(head).await?;
        sender.send(HttpResponseBody::last(text)).await
    }
}

/// Returns a line for each failed check.
fn describe(failures: &[Failure], asker: Asker) -> String {
    failures
        .iter()
        .map(|Failure { name, reason }| match asker {
            Asker::Operator => format!("{}: {}\n", Escaped(name), Escaped(reason)),
            Asker::Client => format!("{}\n", Escaped(name)),
        })
        .collect()
}

/// Returns whether a request to this path of the application asks whether the server is ready.
pub(crate) fn is_health_check(method: &Method, path: &str, health_path: &str) -> bool {
    path == health_path && matches!(*method, Method::GET | Method::HEAD)
}

/// An application with a path that tells whether the server is ready.
pub(crate) struct HealthChecked {
    app: BoxApp,
    path: String,
    readiness: SharedReadiness,
}

impl HealthChecked {
    pub(crate) fn new(app: BoxApp, path: String, readiness: SharedReadiness) -> Self {
        Self {
            app,
            path,
            readiness,
        }
    }
}

impl App for HealthChecked {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope)
                if is_health_check(&scope.method, &scope.route_path(), &self.path) =>
            {
                Ok(self.readiness.respond(Asker::Client, &sender).await?)
            }
            scope => self.app.call_boxed(scope, receiver, sender).await,
        }
    }
}
