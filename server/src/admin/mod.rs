//! The admin listener: a second server in the process, whose application tells about the first.

mod app;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;

use callgate::BoxApp;

use self::app::AdminApp;
use crate::accept;
use crate::config::{Config, LifespanMode};
use crate::context::ServerContext;
use crate::error::ServeError;
use crate::listener::{AsyncListener, Listener, Security};
use crate::stage::{Stage, Stages};

/// The admin listener of a server.
#[derive(Debug)]
pub(crate) struct AdminServer {
    context: Arc<ServerContext>,
    server: Arc<ServerContext>,
    /// None if the server has no admin listener.
    listeners: Vec<AsyncListener>,
}

impl AdminServer {
    /// Creates the admin listener of `server`.
    pub(crate) fn new(
        listeners: Vec<Listener>,
        server: &Arc<ServerContext>,
    ) -> Result<Self, ServeError> {
        let listeners = listeners
            .into_iter()
            .map(|listener| AsyncListener::new(listener, Security::Cleartext));
        let app = BoxApp::new(AdminApp::new(server.clone()));
        let config = Config::new().lifespan(LifespanMode::Off);
        Ok(Self {
            context: Arc::new(ServerContext::new(app, config)),
            server: server.clone(),
            listeners: listeners
                .collect::<Result<_, _>>()
                .map_err(ServeError::Listener)?,
        })
    }

    /// Accepts connections until `stop` completes, and serves them until the future is dropped.
    pub(crate) async fn run_until(self, stop: impl Future<Output = ()>) -> Infallible {
        let _end = EndWhenDropped(self.context.stages.clone());
        if !self.listeners.is_empty() {
            tokio::select! {
                biased;
                () = stop => {}
                never = accept::accept_admin(&self.context, &self.listeners, &self.server) => match never {},
            }
        }
        drop(self.listeners);
        pending().await
    }
}

/// Ends the connections of the admin listener when it is dropped.
struct EndWhenDropped(Arc<Stages>);

impl Drop for EndWhenDropped {
    fn drop(&mut self) {
        self.0.advance(Stage::Ending);
    }
}
