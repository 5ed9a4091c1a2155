//! systemd: the sockets that it has opened for the server (`sd_listen_fds(3)`), and the states that the
//! server reports to it (`sd_notify(3)`).

#[cfg(target_os = "linux")]
use std::time::Duration;

use listenfd::ListenFd;
#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

#[cfg(target_os = "linux")]
use crate::ServerHandle;
use crate::{ServeError, Server};

/// Adds the sockets that systemd has opened for this process. With such sockets, the server binds to no
/// address but those of `bind`, `uds` and `insecure_bind`.
pub(super) fn add_sockets(server: Server) -> Result<Server, ServeError> {
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    let server = (0..count).try_fold(server, |server, index| {
        // An error says that the socket is not of this kind.
        match sockets.take_unix_listener(index) {
            Ok(Some(listener)) => server.listener(listener),
            _ => match sockets.take_tcp_listener(index) {
                Ok(Some(listener)) => server.listener(listener),
                Ok(None) => Ok(server),
                Err(error) => Err(ServeError::Listener(error)),
            },
        }
    })?;
    match count > 0 {
        true => server.bind_given(),
        false => Ok(server),
    }
}

/// Reports to systemd when the server has started and when it stops. Completes then.
#[cfg(target_os = "linux")]
pub(super) async fn report(handle: ServerHandle) {
    tokio::select! {
        () = handle.started() => notify(NotifyState::Ready),
        () = handle.stopping() => {}
    }
    tokio::spawn(report_alive());
    handle.stopping().await;
    notify(NotifyState::Stopping);
}

/// Reports that the threads of the runtime are not blocked, if systemd watches this process.
#[cfg(target_os = "linux")]
async fn report_alive() {
    let mut limit = 0;
    if sd_notify::watchdog_enabled(false, &mut limit) {
        // Twice in the time after which systemd regards the server as dead.
        let mut ticks = tokio::time::interval(Duration::from_micros(limit.max(2)) / 2);
        loop {
            ticks.tick().await;
            notify(NotifyState::Watchdog);
        }
    }
}

/// Sends a state to systemd, if it has started this process and waits for it.
#[cfg(target_os = "linux")]
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
