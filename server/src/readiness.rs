//! Whether the server is ready to serve, and the response that tells so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use callgate::{
    App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendError, Sender,
};
use http::{Method, StatusCode, header};

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

/// The present readiness of a server. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedReadiness(Arc<AtomicU8>);

impl SharedReadiness {
    pub(crate) fn get(&self) -> Readiness {
        Readiness::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    pub(crate) fn set(&self, readiness: Readiness) {
        self.0.store(readiness as u8, Ordering::Release);
    }

    /// Responds with 200 if the server is ready, and otherwise with 503 and the reason.
    pub(crate) async fn respond(&self, sender: &Sender) -> Result<(), SendError> {
        let (status, text) = match self.get() {
            Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Readiness::Ready => (StatusCode::OK, "ok\n"),
            Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        };
        let head = HttpResponseStart::new(status)
            .header(header::CONTENT_TYPE, "text/plain")
            .header(header::CACHE_CONTROL, "no-store");
        sender.send(head).await?;
        sender.send(HttpResponseBody::last(text)).await
    }
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
                Ok(self.readiness.respond(&sender).await?)
            }
            scope => self.app.call_boxed(scope, receiver, sender).await,
        }
    }
}
