//! systemd: the sockets that it has opened for the server (`sd_listen_fds(3)`), and the states that the
//! server reports to it (`sd_notify(3)`).

#[cfg(target_os = "linux")]
use std::time::Duration;

use listenfd::ListenFd;
#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

#[cfg(target_os = "linux")]
use crate::ServerHandle;
use crate::listener::{IntoListener as _, Listener, Security};
use crate::succession::Succession;
use crate::{ServeError, Server};

/// Adds the sockets that systemd has opened for this process or, for a successor, for the first of its
/// predecessors. With such sockets, the server binds to no address but those of `bind`, `uds`, `fd` and
/// `insecure_bind`.
pub(super) fn add_sockets(
    mut server: Server,
    inherited: Option<&Succession>,
) -> Result<Server, ServeError> {
    let listeners = match inherited {
        Some(succession) => succession.take_activated(),
        None => activated().map_err(ServeError::Listener)?,
    };
    let is_activated = !listeners.is_empty();
    for listener in listeners {
        (server.add(listener, Security::Tls, String::new())).map_err(ServeError::Listener)?;
    }
    match is_activated {
        true => server.bind_given(),
        false => Ok(server),
    }
}

/// Returns the sockets that systemd has opened for this process.
fn activated() -> std::io::Result<Vec<Listener>> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        // An error says that the socket is not of this kind.
        if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
            listeners.push(listener.into_listener()?);
        } else if let Some(listener) = sockets.take_tcp_listener(index)? {
            listeners.push(listener.into_listener()?);
        }
    }
    Ok(listeners)
}

/// Reports to systemd when the server has started, that it lives, and when it stops. A successor has
/// been reported by its predecessor. Completes when the server stops.
#[cfg(target_os = "linux")]
pub(super) async fn report(handle: ServerHandle, succession: &Succession, is_successor: bool) {
    tokio::select! {
        () = handle.started() => if !is_successor {
            notify_ready();
        },
        () = handle.stopping() => {}
    }
    tokio::select! {
        () = report_alive() => {}
        () = handle.stopping() => {}
    }
    report_stopping(succession);
}

/// Reports that the server stops, unless a successor serves in its place.
#[cfg(target_os = "linux")]
pub(super) fn report_stopping(succession: &Succession) {
    if !succession.is_handed_over() {
        notify(&[NotifyState::Stopping]);
    }
}

/// Reports that the threads of the runtime are not blocked, if systemd watches this process.
#[cfg(target_os = "linux")]
async fn report_alive() {
    let Some(limit) = watchdog_limit() else {
        return std::future::pending().await;
    };
    // Twice in the time after which systemd regards the server as dead.
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

/// Returns the time after which systemd regards a silent process as dead (`sd_watchdog_enabled(3)`). systemd
/// names the process that it has started in `WATCHDOG_PID`; a successor is started without this variable.
#[cfg(target_os = "linux")]
fn watchdog_limit() -> Option<Duration> {
    let limit: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let is_other =
        std::env::var("WATCHDOG_PID").is_ok_and(|pid| pid != std::process::id().to_string());
    (!is_other).then(|| Duration::from_micros(limit.max(2)))
}

/// Reports that the server is ready.
#[cfg(target_os = "linux")]
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Reports that a successor starts.
#[cfg(target_os = "linux")]
pub(super) fn notify_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Reports that a successor, which is ready, is the main process of the service.
#[cfg(target_os = "linux")]
pub(super) fn notify_main_pid(pid: u32) {
    notify(&[NotifyState::MainPid(pid), NotifyState::Ready]);
}

/// Sends states to systemd, if it has started this process and waits for them.
#[cfg(target_os = "linux")]
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
