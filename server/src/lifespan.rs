//! The start of the application's lifespan, as the configuration asks for it.

use callgate::BoxApp;
use callgate_drive::lifespan::{RunningLifespan, Startup};

use crate::config::LifespanMode;
use crate::error::ServeError;

/// Runs the application's start-up. Returns `None` when the application is served without lifespan.
pub(crate) async fn start(
    app: &BoxApp,
    mode: LifespanMode,
) -> Result<Option<RunningLifespan>, ServeError> {
    if mode == LifespanMode::Off {
        return Ok(None);
    }
    match callgate_drive::lifespan::start(app).await {
        Startup::Complete(lifespan) => Ok(Some(lifespan)),
        Startup::Failed(reason) => Err(ServeError::Startup(reason)),
        Startup::Declined if mode == LifespanMode::On => Err(ServeError::LifespanDeclined),
        Startup::Declined => {
            tracing::debug!("the application does not serve lifespan");
            Ok(None)
        }
    }
}
