//! Work after the response.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use callgate::AppError;
use callgate_drive::Escaped;
use futures_util::FutureExt as _;

/// Work that is done after the response has been sent: writing a log, sending a mail, closing a
/// connection.
///
/// Each request that [`ServiceApp`](crate::ServiceApp) creates has a `Background` in its
/// extensions. With the feature `axum`, `Background` is an extractor. The work is done in the call
/// of the application, one piece after the other: the client does not wait for it, and a server
/// that shuts down does (rules `HTTP-35`, `HTTP-36`). A server does not wait for a task that the
/// service spawns.
///
/// The work is done however the exchange ends: also when the service fails or panics, and when the
/// client goes away, in the grace period of the server. The service's future and the body of its
/// response have been dropped by then. When a piece of work fails or panics, the other work is done
/// nevertheless. The call then fails with the first failure, and the others are logged.
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
pub struct Background(Arc<Mutex<VecDeque<BoxedWork>>>);

type BoxedWork = Pin<Box<dyn Future<Output = Result<(), AppError>> + Send>>;

/// The result of a piece of work. The outer error is a panic.
type WorkResult = thread::Result<Result<(), AppError>>;

impl Background {
    /// Adds work, which is done after all work that was added before. The work may add more work.
    pub fn add(&self, work: impl Future<Output = Result<(), AppError>> + Send + 'static) {
        self.queue().push_back(Box::pin(work));
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<BoxedWork>> {
        self.0.lock().expect("nothing panics while it is held")
    }

    fn next(&self) -> Option<BoxedWork> {
        self.queue().pop_front()
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

/// Runs an exchange, and then the work that was added to it.
pub(crate) async fn with_background<F>(
    exchange: impl FnOnce(Background) -> F,
) -> Result<(), AppError>
where
    F: Future<Output = Result<(), AppError>>,
{
    let background = Background::default();
    let _unfinished = DropRest(background.clone());
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

/// Drops the work that is left when the call is dropped. Work that holds its own [`Background`], to add
/// more, would keep itself in memory.
struct DropRest(Background);

impl Drop for DropRest {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut *self.0.queue());
        drop(rest);
    }
}

/// Returns whether this result is a failure of the call. A client that is gone is not a failure.
fn is_failure(ended: &WorkResult) -> bool {
    match ended {
        Ok(Ok(())) => false,
        Ok(Err(error)) => !error.is_disconnected(),
        Err(_) => true,
    }
}

/// Logs a failure that the call does not return, because it returns an earlier one.
fn report(ended: &WorkResult) {
    match ended {
        Ok(Err(error)) if !error.is_disconnected() => {
            tracing::error!("work after a response failed as well: {}", Escaped(error));
        }
        Ok(_) => {}
        Err(_) => tracing::error!("work after a response panicked as well"),
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn work_that_is_left_is_dropped_with_the_call() {
        let held = Arc::new(());
        let mut call = Box::pin(with_background(|background| {
            let (more, resource) = (background.clone(), held.clone());
            background.add(async move {
                let _holds = (more, resource);
                Ok(())
            });
            std::future::pending()
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&held), 2);
        drop(call);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
