//! Work that goes on after the response.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use callgate::AppError;
use futures_util::FutureExt as _;

/// What is left to do once the response has been sent: a log written, a mail sent, a connection
/// closed.
///
/// Each request that [`ServiceApp`](crate::ServiceApp) makes has one among its extensions; with the
/// feature `axum` it is an extractor itself. Its work is done in the call of the application, one
/// piece after the other, so that the client does not wait for it and a server that shuts down does
/// (rules `HTTP-35`, `HTTP-36`). What is spawned onto a task of its own instead is not waited for.
///
/// What has been added is done however the exchange ends: also when the client goes away, in the
/// grace period that the server leaves for that, and when the service fails or panics. The service's
/// future and the body of its response have been dropped by then. Work that fails, or panics, makes
/// the call fail, and hinders no other; one failure is the call's, any more are logged.
///
/// ```
/// use axum::routing::post;
/// use axum::{Extension, Router};
/// use callgate_tower::{Background, ServiceApp};
///
/// async fn order(Extension(background): Extension<Background>) -> &'static str {
///     background.add(async {
///         // The client has its response.
///         println!("an order has come in");
///         Ok(())
///     });
///     "ordered\n"
/// }
///
/// let app = ServiceApp::new(Router::new().route("/", post(order)));
/// # fn check(_: impl callgate::App) {}
/// # check(app);
/// ```
#[derive(Clone, Default)]
pub struct Background(Arc<Mutex<VecDeque<Work>>>);

type Work = Pin<Box<dyn Future<Output = Result<(), AppError>> + Send>>;

/// How a piece of work ended: the outer error is a panic.
type Ended = thread::Result<Result<(), AppError>>;

impl Background {
    /// Adds work, which is done after what was added before. It may add more.
    pub fn add(&self, work: impl Future<Output = Result<(), AppError>> + Send + 'static) {
        self.queue().push_back(Box::pin(work));
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Work>> {
        self.0.lock().expect("nothing panics while it is held")
    }

    fn next(&self) -> Option<Work> {
        self.queue().pop_front()
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

/// Runs an exchange, and then the work that it leaves.
pub(crate) async fn with_background<F>(
    exchange: impl FnOnce(Background) -> F,
) -> Result<(), AppError>
where
    F: Future<Output = Result<(), AppError>>,
{
    let background = Background::default();
    let exchange = exchange(background.clone());
    let mut ended = AssertUnwindSafe(exchange).catch_unwind().await;
    while let Some(work) = background.next() {
        let next = AssertUnwindSafe(work).catch_unwind().await;
        if is_failure(&ended) {
            report(&next);
        } else {
            ended = next.map(|result| result.and(ended.unwrap_or(Ok(()))));
        }
    }
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whether the call has to say so. That the client is gone is nobody's failure.
fn is_failure(ended: &Ended) -> bool {
    match ended {
        Ok(Ok(())) => false,
        Ok(Err(error)) => !error.is_disconnected(),
        Err(_) => true,
    }
}

/// Logs what the call cannot say, as it says something else.
fn report(ended: &Ended) {
    match ended {
        Ok(Err(error)) if !error.is_disconnected() => {
            tracing::error!("work after a response failed as well: {error}");
        }
        Ok(_) => {}
        Err(_) => tracing::error!("work after a response panicked as well"),
    }
}
