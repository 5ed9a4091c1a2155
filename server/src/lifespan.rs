//! The application's lifespan: started before the first connection, shut down after the last.

use callgate::{BoxApp, State};
use callgate_drive::lifespan::{self, Startup};

use crate::config;

pub(crate) use callgate_drive::lifespan::Lifespan;

/// Runs the application's start-up; none when it does without. The error says why it failed.
pub(crate) async fn start(
    app: &BoxApp,
    mode: config::Lifespan,
) -> Result<(Option<Lifespan>, State), String> {
    if mode == config::Lifespan::Off {
        return Ok((None, State::new()));
    }
    match lifespan::start(app).await {
        Startup::Complete(lifespan, state) => Ok((Some(lifespan), state)),
        Startup::Failed(reason) => Err(reason),
        Startup::Declined if mode == config::Lifespan::On => {
            Err("it does not serve lifespan, which `--lifespan on` asks for".into())
        }
        Startup::Declined => {
            tracing::debug!("the application does not serve lifespan");
            Ok((None, State::new()))
        }
    }
}
