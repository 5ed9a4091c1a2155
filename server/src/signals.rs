//! The signals of a server: SIGINT and SIGTERM stop it, and SIGHUP has it load files again. On platforms
//! without them, Ctrl-C stops it.

use std::convert::Infallible;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::shutdown::ServerHandle;

/// A thread that asks a server to shut down at each signal, until this is dropped.
///
/// The thread has a runtime of its own, because an application may block all threads of the
/// server's runtime.
#[derive(Debug)]
pub(crate) struct SignalThread {
    _stop: oneshot::Sender<Infallible>,
}

/// How the process is ended when it still runs some time after the second signal, because the
/// thread that shuts the server down is blocked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForcedExit {
    pub(crate) after: Duration,
    pub(crate) status: i32,
}

impl SignalThread {
    /// Starts the thread, and returns once it listens for signals. The thread also runs the future
    /// that `companion` returns there.
    pub(crate) async fn start<F: Future<Output = Infallible>>(
        handle: ServerHandle,
        forced_exit: Option<ForcedExit>,
        companion: impl FnOnce() -> io::Result<F> + Send + 'static,
    ) -> io::Result<Self> {
        handle.set_signals();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let thread = thread::Builder::new().name("callgate-signals".into());
        thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let result = runtime.and_then(|runtime| {
                let guard = runtime.enter();
                let signals = Signals::new()?;
                let companion = companion()?;
                drop(guard);
                Ok((runtime, signals, companion))
            });
            let (answer, listening) = match result {
                Ok(listening) => (Ok(()), Some(listening)),
                Err(error) => (Err(error), None),
            };
            // This fails when the caller has dropped its future.
            let _ = ready.send(answer);
            if let Some((runtime, mut signals, companion)) = listening {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        never = forward(&mut signals, &handle, forced_exit) => match never {},
                        never = companion => match never {},
                    }
                });
            }
        })?;
        is_ready.await.map_err(io::Error::other)??;
        Ok(Self { _stop: stop })
    }
}

async fn forward(
    signals: &mut Signals,
    handle: &ServerHandle,
    forced_exit: Option<ForcedExit>,
) -> Infallible {
    signals.stop(handle).await;
    // A process that has been replaced, and drains, is not hurried by the first signal.
    handle.begin_shutdown();
    loop {
        signals.stop(handle).await;
        handle.shutdown();
        if let Some(ForcedExit { after, status }) = forced_exit {
            tokio::time::sleep(after).await;
            std::process::exit(status);
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop. The other signals are obeyed meanwhile.
    async fn stop(&mut self, handle: &ServerHandle) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => handle.reload(),
            }
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn stop(&mut self, _: &ServerHandle) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
