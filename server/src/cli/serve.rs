//! Serving as a process: the runtime, signals, systemd, and the replacement of the process by another.

use std::future::Future;
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::pin::pin;
#[cfg(unix)]
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use callgate_cli::{AppWrapper, Start};
use tokio::runtime::Builder;

use super::log::ServerLog;
use super::pid_file::PidFile;
#[cfg(unix)]
use super::systemd;
#[cfg(unix)]
use super::upgrade::{Inherited, Predecessor, Upgrader, reloader};
use crate::config::{Config, MAX_THREADS};
#[cfg(unix)]
use crate::retirement::Retirement;
use crate::signals::{ForcedExit, SignalThread};
#[cfg(unix)]
use crate::succession::Succession;
use crate::{ServeError, Server};

/// How the process ends after a second signal when a blocked thread keeps it alive.
const FORCED_EXIT: ForcedExit = ForcedExit {
    after: Duration::from_millis(900),
    status: 1,
};

/// Runs `server` until a signal, or until a successor has taken over. Only the process that serves wraps the application.
#[cfg(unix)]
pub(super) fn serve(
    server: Server,
    wrappers: &mut [Box<dyn AppWrapper>],
    config: &Config,
    log: &ServerLog,
) -> Result<(), ServeError> {
    let predecessor = Predecessor::find().map_err(ServeError::Predecessor)?;
    let Some((predecessor, inherited)) = predecessor else {
        return match config.process.reload {
            true => on_runtime(NonZeroUsize::MIN, reloader::run(server, config)),
            false => serve_as(
                server.wrapped_in(wrappers, Start::First)?,
                config,
                None,
                Vec::new(),
                log,
            ),
        };
    };
    let failure = predecessor.failure().map_err(ServeError::Predecessor)?;
    let result = server
        .wrapped_in(wrappers, Start::Successor)
        .and_then(|server| serve_as(server, config, Some(predecessor), inherited, log));
    if let Err(error) = &result {
        failure.tell(&error.to_string());
    }
    result
}

/// Runs `server` in this process, as the first or as a successor.
#[cfg(unix)]
fn serve_as(
    server: Server,
    config: &Config,
    predecessor: Option<Predecessor>,
    inherited: Inherited,
    log: &ServerLog,
) -> Result<(), ServeError> {
    let retirement = Retirement::new(&config.process);
    let succession = Arc::new(Succession::new(retirement, inherited));
    let is_successor = predecessor.is_some();
    // The process that replaces this one has the file.
    let pid_file = pid_file(config).filter(|_| !(is_successor && config.process.reload));
    let mut signals = None;
    let result = on_runtime(threads(config), async {
        let server = server.succession(succession.clone());
        let inherited = is_successor.then_some(&*succession);
        let server = systemd::add_sockets(server, inherited)?.bound()?;
        if !is_successor && let Some(file) = &pid_file {
            file.write().map_err(ServeError::PidFile)?;
        }
        let handle = server.handle();
        log.reopen_at_reload(&handle);
        let upgrader = Upgrader::new(handle, succession.clone(), pid_file.clone(), config);
        let companion = move || upgrader.start(predecessor);
        let thread = SignalThread::start(server.handle(), Some(FORCED_EXIT), companion).await;
        signals = Some(thread.map_err(ServeError::Signals)?);
        #[cfg(target_os = "linux")]
        let handle = server.handle();
        #[cfg(target_os = "linux")]
        let report = systemd::report(server.handle(), &succession, is_successor);
        #[cfg(not(target_os = "linux"))]
        let report = std::future::pending();
        let mut report = pin!(report);
        let mut run = pin!(server.run());
        tokio::select! {
            // A server that stops reports so before anything else.
            biased;
            () = &mut report => run.await,
            result = &mut run => {
                // The server may have ended before the report has learned that it stops.
                #[cfg(target_os = "linux")]
                if handle.is_stopping() {
                    systemd::report_stopping(&succession);
                }
                result
            }
        }
    });
    if let Some(signals) = signals {
        signals.end();
    }
    if !succession.is_handed_over()
        && let Some(file) = pid_file
    {
        file.remove();
    }
    result
}

/// Runs `server` until a signal.
#[cfg(not(unix))]
pub(super) fn serve(
    server: Server,
    wrappers: &mut [Box<dyn AppWrapper>],
    config: &Config,
    log: &ServerLog,
) -> Result<(), ServeError> {
    if config.process.reload {
        return Err(ServeError::Setting {
            name: "reload",
            remedy: "on this system, sockets cannot be passed on to another process",
        });
    }
    let server = server.wrapped_in(wrappers, Start::First)?;
    let pid_file = pid_file(config);
    let mut signals = None;
    let result = on_runtime(threads(config), async {
        let server = server.bound()?;
        log.reopen_at_reload(&server.handle());
        if let Some(file) = &pid_file {
            file.write().map_err(ServeError::PidFile)?;
        }
        let companion = || Ok(std::future::pending());
        let thread = SignalThread::start(server.handle(), Some(FORCED_EXIT), companion).await;
        signals = Some(thread.map_err(ServeError::Signals)?);
        server.run().await
    });
    if let Some(signals) = signals {
        signals.end();
    }
    if let Some(file) = pid_file {
        file.remove();
    }
    result
}

fn pid_file(config: &Config) -> Option<PidFile> {
    config.process.pid.clone().map(PidFile::new)
}

fn threads(config: &Config) -> NonZeroUsize {
    let cores =
        || available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MAX_THREADS));
    config.process.threads.unwrap_or_else(cores)
}

/// Runs `future` on a runtime with this number of threads. A thread that an application blocks does
/// not keep the process alive.
fn on_runtime<T>(
    threads: NonZeroUsize,
    future: impl Future<Output = Result<T, ServeError>>,
) -> Result<T, ServeError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads.get())
        .enable_all()
        .build()
        .map_err(|reason| ServeError::Runtime {
            threads: threads.get(),
            reason,
        })?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}
