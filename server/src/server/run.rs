//! Running a server: its start-up, serving, and its end.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "reload")]
use callgate_drive::task;
#[cfg(feature = "reload")]
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Server;
use crate::accept;
use crate::access_log::AccessLog;
use crate::admin::AdminServer;
use crate::alarm::elapsed;
use crate::context::ServerContext;
use crate::error::ServeError;
use crate::lifespan;
use crate::listener::{AsyncListener, ListenAddr, Security};
use crate::readiness::Readiness;
#[cfg(feature = "tls")]
use crate::redirect;
use crate::retirement::{Limit, OnLimit};
use crate::shutdown::{self, ShutdownRequests};
#[cfg(feature = "tls")]
use crate::tls::Acceptor;

/// The longest time for which the end of the server waits for the last lines of the access log.
const LAST_LINES: Duration = Duration::from_millis(500);

impl Server {
    /// Serves until a handle asks for the shutdown. There is at least one listener.
    pub(crate) async fn run(mut self) -> Result<(), ServeError> {
        #[cfg(all(unix, feature = "cli"))]
        if let Some(succession) = &self.succession {
            succession.share(self.sockets_to_pass()?);
        }
        let context = Arc::new(self.context()?);
        let admin_listeners = mem::take(&mut self.admin_listeners);
        let admin = AdminServer::new(admin_listeners, &context)?;
        let admin_runs = self.run_admin(admin);
        tokio::select! {
            biased;
            result = self.serve_clients(context) => result,
            never = admin_runs => match never {},
        }
    }

    fn context(&self) -> Result<ServerContext, ServeError> {
        let context = ServerContext::monitored(
            self.app.clone(),
            self.config.clone(),
            self.monitoring.clone(),
        );
        let context = match &self.succession {
            Some(succession) => context.succession(succession),
            None => context,
        };
        #[cfg(feature = "metrics")]
        let context = context.handle(self.handle.clone());
        #[cfg(feature = "tls")]
        let context = {
            let acceptor = Acceptor::load(&self.config).map_err(ServeError::Tls)?;
            context
                .tls(acceptor.map(Arc::new))
                .https_port(redirect::first_tls_port(&self.addresses, &self.listeners))
        };
        let access_log = AccessLog::open(&self.config.log)?;
        if let Some(file) = access_log.file() {
            self.handle.add_log_file(file);
        }
        Ok(context.access_log(access_log))
    }

    /// Runs the admin listener. Of a predecessor and its successor, only one answers: the predecessor until
    /// its successor has taken over.
    fn run_admin(&self, admin: AdminServer) -> impl Future<Output = Infallible> + use<> {
        let handle = self.handle.clone();
        let succession = self.succession.clone();
        async move {
            if (succession.as_ref()).is_some_and(|succession| succession.has_predecessor()) {
                handle.started().await;
            }
            let handed_over = async {
                handle.stopping().await;
                if (succession.as_ref()).is_some_and(|succession| succession.is_handed_over()) {
                    return;
                }
                pending::<()>().await;
            };
            admin.run_until(handed_over).await
        }
    }

    /// Starts the application, and serves its clients until a handle asks for the shutdown.
    async fn serve_clients(self, context: Arc<ServerContext>) -> Result<(), ServeError> {
        let mut requests = self.handle.requests();
        let listeners = self
            .listeners
            .into_iter()
            .map(|(listener, security)| AsyncListener::new(listener, security))
            .collect::<Result<Vec<_>, _>>()
            .map_err(ServeError::Listener)?;
        let lifespan = tokio::select! {
            // An application whose start-up is complete is always shut down.
            biased;
            started = lifespan::start(&context.app, context.config.process.lifespan) => started?,
            () = requests.next() => return Ok(()),
        };
        if let Some(lifespan) = &lifespan {
            context.set_state(lifespan.state().clone());
        }
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &context.tls {
            self.handle.set_acceptor(acceptor.clone());
        }
        #[cfg(feature = "reload")]
        let _watching = context.tls.clone().map(watch);
        let hint = self.handle.signal_hint(" (press CTRL+C to quit)");
        log_addresses(&context, &self.addresses, &listeners, hint);
        context.readiness.set(Readiness::Ready);
        self.handle.set_started();
        tokio::select! {
            biased;
            () = requests.next() => {}
            // A server that another process can replace, and one with `on_limit`, goes on until it is told to stop.
            limit = limit_of(&context, self.on_limit), if self.succession.is_none() => {
                tracing::info!("the server stops, because {limit}");
                self.handle.shutdown();
                requests.next().await;
            }
            never = accept::accept(&context, &listeners) => match never {},
        }
        context.readiness.set(Readiness::Stopping);
        tracing::info!("Callgate is stopping");
        let is_handed_over = self.succession.is_some_and(|succession| succession.close());
        // A successor accepts the connections that are in the queue.
        if !is_handed_over {
            serve_during_delay(&context, &listeners, &mut requests).await;
            for listener in listeners {
                let security = listener.security;
                match listener.into_listener() {
                    Ok(listener) => accept::accept_queued(&context, &listener, security),
                    Err(error) => tracing::error!("cannot accept queued connections: {error}"),
                }
            }
        }
        let drained = shutdown::drain(&context, &mut requests).await;
        let result = shutdown::finish(lifespan, drained, &mut requests).await;
        if let Some(file) = context.access_log_file() {
            let flushing = tokio::task::spawn_blocking(move || file.writer().flush(LAST_LINES));
            let _ = flushing.await;
        }
        if result.is_ok() {
            tracing::info!("Callgate has stopped");
        }
        result
    }
}

/// Returns the limit at which the server shuts down. With `on_limit`, it does not, and code outside is told.
async fn limit_of(context: &ServerContext, on_limit: Option<OnLimit>) -> Limit {
    let limit = context.retirement.due().await;
    let Some(on_limit) = on_limit else {
        return limit;
    };
    tracing::info!("the server is to be replaced, because {limit}");
    on_limit.call();
    pending().await
}

/// Logs the addresses that the server listens on.
fn log_addresses(
    context: &ServerContext,
    addresses: &[ListenAddr],
    listeners: &[AsyncListener],
    hint: &str,
) {
    for (address, listener) in addresses.iter().zip(listeners) {
        let scheme = match (address, listener.security) {
            #[cfg(unix)]
            (ListenAddr::Unix(_), _) => "",
            (_, Security::Tls) if context.speaks_tls() => "https://",
            _ => "http://",
        };
        tracing::info!("Callgate running on {scheme}{address}{hint}");
    }
}

/// Goes on serving for the time of the settings, or until the second request to shut down.
async fn serve_during_delay(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
    requests: &mut ShutdownRequests,
) {
    let delay = context.config.admin.shutdown_delay;
    if delay.is_zero() {
        return;
    }
    tracing::info!(
        "serving for another {delay:?}, until balancers have noticed{}",
        requests.signal_hint(" (signal again to end)")
    );
    tokio::select! {
        biased;
        () = requests.has_next() => {}
        () = elapsed(Some(delay)) => {}
        never = accept::accept(context, listeners) => match never {},
    }
}

/// Watches the files of certificates, until the returned guard is dropped.
#[cfg(feature = "reload")]
fn watch(acceptor: Arc<Acceptor>) -> DropGuard {
    let token = CancellationToken::new();
    task::spawn(
        token
            .clone()
            .run_until_cancelled_owned(crate::tls::watch::watch(acceptor)),
    );
    token.drop_guard()
}
