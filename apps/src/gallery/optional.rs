//! Applications without which the gallery is served all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{
    App, AppError, BoxApp, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_drive::Escaped;
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::lifespan;
use http::StatusCode;

use crate::http_errors;
use crate::page::Exhibited;

/// Whether the last start-up of an application succeeded. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Availability {
    startup_failed: Arc<AtomicBool>,
}

impl Availability {
    /// Returns whether the application is served. An application that was never started is.
    pub(super) fn is_available(&self) -> bool {
        !self.startup_failed.load(Ordering::Relaxed)
    }

    fn set(&self, is_available: bool) {
        self.startup_failed.store(!is_available, Ordering::Relaxed);
    }
}

/// Wraps an application whose start-up may fail.
///
/// Its failed start-up is logged, and is none to the server. From then on each request is answered
/// with 503 and each WebSocket is denied, until a later start-up succeeds.
#[derive(Debug)]
pub(super) struct OptionalApp {
    name: &'static str,
    app: BoxApp,
    availability: Availability,
}

impl OptionalApp {
    /// Wraps `app`, which the log calls `name`.
    pub(super) fn new(name: &'static str, app: BoxApp) -> Self {
        Self {
            name,
            app,
            availability: Availability::default(),
        }
    }

    /// Returns whether the application is served, now and later.
    pub(super) fn availability(&self) -> Availability {
        self.availability.clone()
    }

    async fn run_lifespan(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        while receiver.receive().await != ReceiveEvent::LifespanStartup {}
        let started = lifespan::start(self.app.clone()).await;
        self.availability.set(started.is_ok());
        let running = match started {
            Ok(Some(running)) => Some(running),
            Ok(None) => return Err(AppError::Unsupported),
            Err(reason) => {
                tracing::error!("{} is unavailable: {}", self.name, Escaped(&reason));
                None
            }
        };
        let state = running.as_ref().map(|running| running.state().clone());
        let complete = LifespanStartupComplete::with_state(state.unwrap_or_default());
        sender.send(complete).await?;

        while receiver.receive().await != ReceiveEvent::LifespanShutdown {}
        if let Some(running) = running
            && let Err(reason) = running.shutdown().await
        {
            sender.send(LifespanShutdownFailed::new(reason)).await?;
        } else {
            sender.send(LifespanShutdownComplete::new()).await?;
        }
        Ok(())
    }
}

impl App for OptionalApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Lifespan(_) => self.run_lifespan(receiver, sender).await,
            mut scope if self.availability.is_available() => {
                if let Some(request) = scope.request_mut() {
                    request.extensions.insert(Exhibited(self.name));
                }
                self.app.call(scope, receiver, sender).await
            }
            Scope::Http(scope) => http_errors::respond(&scope, &sender, &unavailable()).await,
            Scope::WebSocket(scope) => {
                http_errors::deny(&scope, receiver, sender, &unavailable()).await
            }
            _ => Err(AppError::Unsupported),
        }
    }
}

/// Returns the answer to a client. The reason, which may name hosts and files, is in the log only.
fn unavailable() -> HttpError {
    let message = "this application is unavailable: it could not start";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message)
}
