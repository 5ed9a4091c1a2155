//! The start-up of an application from inside a program.

use callgate::{App, BoxApp};
use callgate_drive::lifespan::{self, RunningLifespan, Startup};

/// Calls `app` with a lifespan scope, and waits until its start-up is complete. Returns `None` when the
/// application declines the scope, which is not a failure (rule `LIFE-07`).
///
/// ```
/// use callgate::{AppError, LifespanShutdownComplete, LifespanStartupComplete};
/// use callgate::{Receiver, Scope, Sender, State};
/// use callgate_toolkit::lifespan;
///
/// async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     scope.into_lifespan()?;
///     receiver.receive().await;
///     let mut state = State::new();
///     state.insert("a database");
///     sender.send(LifespanStartupComplete::with_state(state)).await?;
///     receiver.receive().await;
///     sender.send(LifespanShutdownComplete::new()).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), String> {
/// let lifespan = lifespan::start(app).await?.expect("the application serves lifespan");
/// assert_eq!(lifespan.state().get::<&str>(), Some(&"a database"));
/// lifespan.shutdown().await
/// # }
/// ```
///
/// # Errors
///
/// Why the start-up failed.
///
/// # Panics
///
/// Outside a Tokio runtime.
pub async fn start(app: impl App) -> Result<Option<RunningLifespan>, String> {
    match lifespan::start(&BoxApp::new(app)).await {
        Startup::Complete(lifespan) => Ok(Some(lifespan)),
        Startup::Declined => Ok(None),
        Startup::Failed(reason) => Err(reason),
    }
}
