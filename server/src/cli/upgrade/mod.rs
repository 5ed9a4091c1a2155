//! Replacing this process by a successor, without a refused connection.
//!
//! The process starts its executable again and passes its sockets on over a Unix socket between the
//! two ([`wire`]). The successor says when its start-up is complete. Only then does this process
//! hand over and drain. A successor that fails leaves this process serving.
//!
//! - [`Upgrader`] replaces a process that serves, at SIGUSR2 and at the limits of the settings.
//! - [`reloader`] is a process that serves nothing itself and replaces its child, for development.

mod executable;
mod predecessor;
pub(super) mod reloader;
mod successor;
mod wire;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::executable::{COMPLETED_UPGRADES, Executable};
use self::predecessor::Connection;
pub(super) use self::predecessor::{Inherited, Predecessor};
use self::successor::Successor;
use super::pid_file::PidFile;
#[cfg(target_os = "linux")]
use super::systemd;
use crate::succession::Succession;
use crate::{Config, ServerHandle};

/// Replaces this process by a successor, at SIGUSR2 and at the limits of the settings.
#[derive(Debug)]
pub(super) struct Upgrader {
    handle: ServerHandle,
    succession: Arc<Succession>,
    executable: Executable,
    pid_file: Option<PidFile>,
    timeout: Option<Duration>,
    /// Whether the predecessor is a [`reloader`], which goes on and replaces this process itself.
    is_reloaded: bool,
}

impl Upgrader {
    pub(super) fn new(
        handle: ServerHandle,
        succession: Arc<Succession>,
        pid_file: Option<PidFile>,
        config: &Config,
    ) -> Self {
        Self {
            handle,
            succession,
            executable: Executable::of_this_process(),
            pid_file,
            timeout: config.timeouts.upgrade,
            is_reloaded: config.process.reload,
        }
    }

    /// Returns a future that takes over from the predecessor, if there is one, and then replaces this
    /// process when it is asked to. The signal is listened for when this function returns.
    pub(super) fn start(
        self,
        predecessor: Option<Predecessor>,
    ) -> io::Result<impl Future<Output = Infallible>> {
        let mut requests = UpgradeSignal::new()?;
        Ok(async move {
            // A signal during the start has its effect after it.
            self.serving(predecessor).await;
            let retirement = self.succession.retirement();
            loop {
                let reason = tokio::select! {
                    () = requests.next() => "SIGUSR2".to_owned(),
                    limit = retirement.due() => {
                        if is_first_of_container() {
                            tracing::info!("this process ends, and with it its container: {limit}");
                            self.handle.shutdown();
                            pending::<()>().await;
                        }
                        limit.to_string()
                    }
                };
                if is_first_of_container() {
                    tracing::warn!(
                        "{reason} has no effect: the container would end with process 1"
                    );
                    continue;
                }
                let upgrading = self.upgrade(&reason);
                if requests.ignored_during("an upgrade", upgrading).await {
                    return requests.ignored_during("the end", pending()).await;
                }
            }
        })
    }

    /// Completes when this process serves, and its sockets belong to it.
    async fn serving(&self, predecessor: Option<Predecessor>) {
        let Some(predecessor) = predecessor else {
            return self.handle.started().await;
        };
        match self.take_over(predecessor).await {
            Ok(connection) if self.is_reloaded => {
                connection.closed().await;
                // The next child accepts the connections that are in the queue.
                let _ = self.succession.hand_over(|| Ok::<_, io::Error>(()));
            }
            Ok(_) => return,
            Err(reason) => tracing::error!("this process does not take over: {reason}"),
        }
        self.handle.shutdown();
        pending::<()>().await;
    }

    /// Takes over from the predecessor, when the start-up of this process is complete.
    async fn take_over(&self, predecessor: Predecessor) -> Result<Connection, String> {
        let pid = predecessor.pid();
        let files = predecessor.files();
        let completed_upgrades = predecessor.completed_upgrades();
        let mut connection = (predecessor.connection()).map_err(|error| error.to_string())?;
        let gone = || format!("process {pid} does not wait for it any more");
        tokio::select! {
            () = self.handle.started() => {}
            _ = connection.is_handed_over() => return Err(gone()),
        }
        (connection.tell_ready().await).map_err(|error| error.to_string())?;
        if !connection.is_handed_over().await {
            return Err(gone());
        }
        if self.is_reloaded {
            return Ok(connection);
        }
        files.set(true);
        self.succession.set_completed_upgrades(completed_upgrades);
        drop(self.succession.take_rest());
        if let Some(Err(error)) = self.pid_file.as_ref().map(PidFile::write) {
            tracing::error!("{error}");
        }
        tracing::info!("this process has taken over from process {pid}");
        Ok(connection)
    }

    /// Starts a successor, and hands over to it when it is ready. Returns whether this process ends.
    async fn upgrade(&self, reason: &str) -> bool {
        #[cfg(target_os = "linux")]
        systemd::notify_reloading();
        let mut command = self.executable.command();
        let completed_upgrades = self.succession.completed_upgrades() + 1;
        command.env(COMPLETED_UPGRADES, completed_upgrades.to_string());
        let started =
            (self.succession.sockets()).and_then(|sockets| Successor::start(command, &sockets));
        let result = match started {
            Ok(mut successor) => {
                tracing::info!(
                    "starting process {} as successor ({reason})",
                    successor.pid()
                );
                tokio::select! {
                    biased;
                    () = self.handle.stopping() => {
                        successor.terminate();
                        return true;
                    }
                    result = self.hand_over(&mut successor) => result,
                }
            }
            Err(error) => {
                let path = self.executable.path().display();
                Err(format!("cannot start {path}: {error}"))
            }
        };
        match result {
            Ok(()) => return true,
            Err(reason) => {
                self.succession.upgrade_failed();
                tracing::error!("the upgrade has failed, and this process goes on: {reason}");
            }
        }
        #[cfg(target_os = "linux")]
        systemd::notify_ready();
        false
    }

    async fn hand_over(&self, successor: &mut Successor) -> Result<(), String> {
        let timeout = async {
            match self.timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            result = successor.ready() => result?,
            () = timeout => {
                successor.kill().await;
                return Err("the successor was not ready in time".into());
            }
        }
        match self.succession.hand_over(|| successor.hand_over()) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(format!("the successor is gone: {error}")),
            None => return Err("this process stops".into()),
        }
        let pid = successor.pid();
        tracing::info!("process {pid} has taken over, and this process ends");
        #[cfg(target_os = "linux")]
        systemd::notify_main_pid(pid);
        self.handle.shutdown();
        Ok(())
    }
}

/// Returns whether this process is the first of a container, with which the container and all of its
/// processes end.
fn is_first_of_container() -> bool {
    process::id() == 1
}

/// SIGUSR2.
#[derive(Debug)]
struct UpgradeSignal(Signal);

impl UpgradeSignal {
    fn new() -> io::Result<Self> {
        signal(SignalKind::user_defined2()).map(Self)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            pending::<()>().await;
        }
    }

    /// Polls `future`, and logs that signals meanwhile have no effect.
    async fn ignored_during<T>(&mut self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = self.next() => tracing::warn!("SIGUSR2 has no effect during {what} of this process"),
            }
        }
    }
}
