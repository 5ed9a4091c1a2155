//! The admin listener: a second server in the process, whose application tells about the first.

mod app;

use std::convert::Infallible;
use std::sync::Arc;

use callgate::BoxApp;

use self::app::AdminApp;
use crate::accept;
use crate::config::{Config, LifespanMode};
use crate::context::ServerContext;
use crate::error::ServeError;
use crate::listener::{AsyncListener, Listener};
use crate::stage::{Stage, Stages};

/// The admin listener of a server. Its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct AdminServer {
    context: Arc<ServerContext>,
    listeners: Vec<AsyncListener>,
}

impl AdminServer {
    /// Creates the admin listener of `server`.
    pub(crate) fn new(
        listeners: Vec<Listener>,
        server: Arc<ServerContext>,
    ) -> Result<Self, ServeError> {
        let listeners = listeners.into_iter().map(AsyncListener::new);
        let config = Config::new().lifespan(LifespanMode::Off);
        Ok(Self {
            context: Arc::new(ServerContext::new(
                BoxApp::new(AdminApp::new(server)),
                config,
            )),
            listeners: listeners
                .collect::<Result<_, _>>()
                .map_err(ServeError::Listener)?,
        })
    }

    /// Accepts and serves connections until the future is dropped.
    pub(crate) async fn run(&self) -> Infallible {
        accept::accept(&self.context, &self.listeners).await
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        let stages: &Stages = &self.context.stages;
        stages.advance(Stage::Ending);
    }
}
