//! The end of a server: the server drains, drops what still runs, and shuts the application's
//! lifespan down.

#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use callgate_drive::lifespan::RunningLifespan;
use tokio::sync::watch;

use crate::alarm::elapsed;
use crate::context::ServerContext;
use crate::error::ServeError;
use crate::log_file::LogFile;
use crate::stage::Stage;
#[cfg(feature = "tls")]
use crate::tls::{Acceptor, TlsError};

/// The most time from the second request for a shutdown to the end of the server. Half of it is for
/// dropping what still runs.
const FORCED: Duration = Duration::from_millis(800);

/// How long a server waits, after the graceful time-out, for the end of what it has dropped. Only
/// an application that blocks its thread takes longer.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// The least time that the lifespan has where the graceful time-out is shorter. A second request for a
/// shutdown, or an application that blocks its thread, leaves it less.
const LEAST_FOR_LIFESPAN: Duration = Duration::from_secs(1);

/// Asks a server to shut down, and tells when it has started. All clones belong to the same server.
///
/// [`Server::handle`](crate::Server::handle) returns it.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    /// The number of requests to shut down.
    requests: watch::Sender<u32>,
    /// The certificates, once they have been loaded for the first time.
    #[cfg(feature = "tls")]
    tls: Arc<OnceLock<Arc<Acceptor>>>,
    log_files: Arc<Mutex<Vec<Arc<LogFile>>>>,
    has_started: watch::Sender<bool>,
    /// Whether signals ask the server to shut down.
    has_signals: Arc<AtomicBool>,
}

impl ServerHandle {
    pub(crate) fn new() -> Self {
        Self {
            requests: watch::Sender::new(0),
            #[cfg(feature = "tls")]
            tls: Arc::default(),
            log_files: Arc::default(),
            has_started: watch::Sender::new(false),
            has_signals: Arc::default(),
        }
    }

    /// Completes when the application's start-up is complete and the server accepts connections. Never
    /// completes if the server does not start.
    pub async fn started(&self) {
        let mut has_started = self.has_started.subscribe();
        let started = has_started.wait_for(|has_started| *has_started);
        started.await.expect("this handle has the sender");
    }

    pub(crate) fn set_started(&self) {
        self.has_started.send_replace(true);
    }

    /// Notes that signals ask the server to shut down.
    pub(crate) fn set_signals(&self) {
        self.has_signals.store(true, Ordering::Relaxed);
    }

    /// Returns `hint`, which tells a person of a signal, if signals ask the server to shut down, and otherwise nothing.
    pub(crate) fn signal_hint(&self, hint: &'static str) -> &'static str {
        match self.has_signals.load(Ordering::Relaxed) {
            true => hint,
            false => "",
        }
    }

    /// Completes when the server has been asked to shut down.
    pub async fn stopping(&self) {
        self.requests().next().await;
    }

    /// Returns whether the server has been asked to shut down.
    #[cfg(all(target_os = "linux", feature = "cli"))]
    pub(crate) fn is_stopping(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// Returns how often the server has been asked to shut down.
    #[cfg(feature = "metrics")]
    pub(crate) fn shutdown_requests(&self) -> u32 {
        *self.requests.borrow()
    }

    /// Asks the server to shut down.
    ///
    /// At the first call the server stops accepting connections and waits for exchanges and background
    /// work, as long as [`Timeouts::graceful_shutdown`](crate::config::Timeouts::graceful_shutdown)
    /// allows. At the second call the server ends within a second. Further calls have no effect.
    pub fn shutdown(&self) {
        self.requests
            .send_modify(|requests| *requests = requests.saturating_add(1));
    }

    /// Asks the server to shut down, unless it has been asked already. With this call, a second reason to end does not
    /// hurry the server, as a second [`shutdown`](Self::shutdown) does.
    pub fn begin_shutdown(&self) {
        self.requests
            .send_modify(|requests| *requests = (*requests).max(1));
    }

    /// Loads the certificates again, as at SIGHUP. No connection is dropped. The files are read on this
    /// thread. A server without TLS has nothing to load.
    ///
    /// # Errors
    ///
    /// Returns why the files cannot be used. The server goes on with what it has.
    #[cfg(feature = "tls")]
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.tls.get().map_or(Ok(()), |acceptor| acceptor.reload())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_acceptor(&self, acceptor: Arc<Acceptor>) {
        // A server is run once.
        let _ = self.tls.set(acceptor);
    }

    /// Adds a file that is opened again at [`Self::reload`].
    pub(crate) fn add_log_file(&self, file: Arc<LogFile>) {
        let files = self.log_files.lock();
        files.unwrap_or_else(PoisonError::into_inner).push(file);
    }

    /// Opens log files and loads certificates again, as at SIGHUP, and logs what has become of the certificates.
    /// The files are read on this thread.
    pub fn reload(&self) {
        let files = self.log_files.lock();
        for file in &*files.unwrap_or_else(PoisonError::into_inner) {
            file.reopen();
        }
        #[cfg(feature = "tls")]
        if let Some(acceptor) = self.tls.get() {
            acceptor.reload_and_log();
        }
    }

    pub(crate) fn requests(&self) -> ShutdownRequests {
        ShutdownRequests {
            handle: self.clone(),
            requests: self.requests.subscribe(),
            seen: 0,
        }
    }
}

/// The requests to shut down, for the server.
#[derive(Debug)]
pub(crate) struct ShutdownRequests {
    handle: ServerHandle,
    requests: watch::Receiver<u32>,
    seen: u32,
}

impl ShutdownRequests {
    /// Returns `hint` as [`ServerHandle::signal_hint`] does.
    pub(crate) fn signal_hint(&self, hint: &'static str) -> &'static str {
        self.handle.signal_hint(hint)
    }

    /// Completes when the server is asked to shut down, once for each request.
    pub(crate) async fn next(&mut self) {
        self.has_next().await;
        self.seen += 1;
    }

    /// Completes when [`next`](Self::next) would.
    pub(crate) async fn has_next(&mut self) {
        let seen = self.seen;
        let request = self.requests.wait_for(|requests| *requests > seen);
        request.await.expect("the handle has the sender");
    }
}

/// The result of the drain.
#[derive(Debug)]
pub(crate) struct Drained {
    /// Connections and applications that have not ended although they were dropped.
    still_running: usize,
    /// How long the lifespan may take; `None` for no limit.
    time_left: Option<Duration>,
}

/// Waits for the end of connections and calls, and drops them at the graceful time-out or at the
/// next request.
pub(crate) async fn drain(context: &ServerContext, requests: &mut ShutdownRequests) -> Drained {
    context.stages.advance(Stage::Draining);
    context.tasks.close();
    if !context.tasks.is_empty() {
        tracing::info!(
            "waiting for connections and background work{}",
            requests.signal_hint(" (signal again to end them)")
        );
    }
    let limit = context.config.timeouts.graceful_shutdown;
    let for_lifespan = limit.map(|limit| limit.max(LEAST_FOR_LIFESPAN));
    let is_forced = tokio::select! {
        biased;
        () = context.tasks.wait() => {
            return Drained { still_running: 0, time_left: for_lifespan };
        }
        () = requests.next() => true,
        () = elapsed(limit) => false,
    };
    tracing::warn!(
        "ending what still runs: {} connections or applications",
        context.tasks.len()
    );
    context.stages.advance(Stage::Ending);
    let start = Instant::now();
    let drop_limit = if is_forced { FORCED / 2 } else { DROP_TIMEOUT };
    let has_ended = tokio::select! {
        biased;
        () = context.tasks.wait() => true,
        () = elapsed(Some(drop_limit)) => false,
        () = requests.next(), if !is_forced => false,
    };
    let still_running = if has_ended { 0 } else { context.tasks.len() };
    let most = if is_forced {
        Some(FORCED.saturating_sub(start.elapsed()))
    } else if has_ended {
        None
    } else {
        // The lifespan may run on the thread that is blocked.
        Some(FORCED / 2)
    };
    Drained {
        still_running,
        time_left: for_lifespan.into_iter().chain(most).min(),
    }
}

/// Shuts the application's lifespan down, and returns the result of the whole shutdown.
pub(crate) async fn finish(
    lifespan: Option<RunningLifespan>,
    drained: Drained,
    requests: &mut ShutdownRequests,
) -> Result<(), ServeError> {
    let result = match lifespan {
        Some(lifespan) => shut_down(lifespan, drained.time_left, requests).await,
        None => Ok(()),
    };
    if drained.still_running == 0 {
        return result;
    }
    if let Err(error) = result {
        tracing::error!("{error}");
    }
    Err(ServeError::StillRunning(drained.still_running))
}

async fn shut_down(
    lifespan: RunningLifespan,
    time_left: Option<Duration>,
    requests: &mut ShutdownRequests,
) -> Result<(), ServeError> {
    // Another request leaves less than a second, as one during the drain does.
    let hurried = async {
        requests.next().await;
        elapsed(Some(FORCED)).await;
    };
    let why = tokio::select! {
        biased;
        result = lifespan.shutdown() => return result.map_err(ServeError::Shutdown),
        () = elapsed(time_left) => "it did not answer in time",
        () = hurried => "it did not answer in time after the server was told again to stop",
    };
    Err(ServeError::Shutdown(why.into()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_does_not_hurry_a_server_that_drains() {
        let handle = ServerHandle::new();
        let mut requests = handle.requests();
        handle.shutdown();
        handle.begin_shutdown();
        requests.next().await;
        assert!(requests.next().now_or_never().is_none());
        handle.shutdown();
        requests.next().await;
    }
}
