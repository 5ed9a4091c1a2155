//! What an application adds to the health checks and to the metrics of its server.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callgate_drive::Escaped;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
#[cfg(feature = "metrics")]
use prometheus_client::{encoding::text::encode_registry, registry::Registry};
use tokio::time::timeout;

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// What an application adds to the health checks and to the metrics of its server: the readiness of what it depends
/// on, such as a database or a channel layer, and metrics of its own.
///
/// A clone is the same. The application keeps one, and adds to it at any time, usually at its start-up; the server has
/// the other.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_server::{Monitoring, Server};
///
/// # struct Pool;
/// # impl Pool { async fn ping(&self) -> Result<(), std::io::Error> { Ok(()) } }
/// # let pool = std::sync::Arc::new(Pool);
/// # async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> { Ok(()) }
/// let monitoring = Monitoring::new();
/// monitoring.ready_check("database", move || {
///     let pool = pool.clone();
///     async move { pool.ping().await }
/// });
/// let server = Server::new(app).monitoring(monitoring);
/// ```
#[derive(Clone, Default)]
pub struct Monitoring(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: Mutex<Vec<Arc<Check>>>,
    #[cfg(feature = "metrics")]
    registries: Mutex<Vec<Arc<Registry>>>,
}

/// A check of what the application depends on.
struct Check {
    name: String,
    run: Box<dyn Fn() -> CheckFuture + Send + Sync>,
    /// Whether the last run failed.
    is_failing: AtomicBool,
}

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A check that has failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Monitoring {
    /// Creates a monitoring to which nothing has been added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. The server is ready only while it succeeds; until the first check is added, the server is ready when
    /// its start-up is complete. A check replaces one of the same name.
    ///
    /// All checks run at the same time, each time that `/readyz` of the admin listener or
    /// [`health_path`](crate::Config::health_path) is asked; a check that takes more than a second, or panics, has
    /// failed. `/readyz` tells the name and the error, `health_path` only the name. The log has a line when a check begins
    /// to fail, and when it succeeds again. A server that is not ready serves nevertheless: what asks, such as a
    /// balancer, decides what follows.
    pub fn ready_check<F, T, E>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let check = Check {
            name: name.into(),
            run: Box::new(move || {
                let result = check();
                Box::pin(async { result.await.map_err(|error| error.to_string()) })
            }),
            is_failing: AtomicBool::new(false),
        };
        let mut checks = lock(&self.0.checks);
        checks.retain(|it| it.name != check.name);
        checks.push(Arc::new(check));
    }

    /// Adds metrics, which `/metrics` of the admin listener shows before those of the server. Their names must differ
    /// from each other, and from those of the server, which begin with `callgate_` and `process_`.
    ///
    /// The registry is that of [`prometheus_client`](crate::prometheus_client).
    #[cfg(feature = "metrics")]
    pub fn metrics(&self, registry: Registry) {
        lock(&self.0.registries).push(Arc::new(registry));
    }

    /// Runs all checks, and returns those that have failed.
    pub(crate) async fn failures(&self) -> Vec<Failure> {
        let checks = lock(&self.0.checks).clone();
        let failures = join_all(checks.iter().map(|check| check.failure())).await;
        failures.into_iter().flatten().collect()
    }

    /// Writes the metrics of the application, without the end of the text.
    #[cfg(feature = "metrics")]
    pub(crate) fn write_metrics(&self, text: &mut String) -> fmt::Result {
        let registries = lock(&self.0.registries).clone();
        registries
            .iter()
            .try_for_each(|registry| encode_registry(text, registry))
    }
}

impl fmt::Debug for Monitoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = lock(&self.0.checks);
        let names: Vec<_> = checks.iter().map(|check| &check.name).collect();
        f.debug_struct("Monitoring")
            .field("ready_checks", &names)
            .finish_non_exhaustive()
    }
}

impl Check {
    /// Runs the check, and returns whether and why it has failed.
    async fn failure(&self) -> Option<Failure> {
        let run = async { (self.run)().await };
        let reason = match timeout(CHECK_TIMEOUT, AssertUnwindSafe(run).catch_unwind()).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(reason))) => Some(reason),
            Ok(Err(_)) => Some("the check panicked".into()),
            Err(_) => Some(format!("no answer within {CHECK_TIMEOUT:?}")),
        };
        let was_failing = (self.is_failing).swap(reason.is_some(), Ordering::Relaxed);
        let name = Escaped(&self.name);
        match &reason {
            Some(reason) if !was_failing => {
                tracing::warn!("not ready: {name}: {}", Escaped(reason));
            }
            None if was_failing => tracing::info!("ready again: {name}"),
            _ => {}
        }
        reason.map(|reason| Failure {
            name: self.name.clone(),
            reason,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
