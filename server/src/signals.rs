//! The signals of a server: SIGINT and SIGTERM stop it, and SIGHUP has it load files again. On platforms
//! without them, Ctrl-C stops it.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::shutdown::ServerHandle;

/// A thread that asks a server to shut down at each signal, until this is dropped.
///
/// The thread has a runtime of its own, because an application may block all threads of the
/// server's runtime.
#[derive(Debug)]
pub(crate) struct SignalThread {
    stop: oneshot::Sender<Infallible>,
    thread: JoinHandle<()>,
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
        let thread = thread.spawn(move || {
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
                        // The companion learns that the server stops before it is dropped.
                        biased;
                        never = forward(&mut signals, &handle, forced_exit) => match never {},
                        never = companion => match never {},
                        _ = stopped => {}
                    }
                });
            }
        })?;
        is_ready.await.map_err(io::Error::other)??;
        Ok(Self { stop, thread })
    }

    /// Stops the thread, and waits for its end. The companion of a server that stops has been polled then.
    pub(crate) fn end(self) {
        drop(self.stop);
        // A panic of the thread has been reported.
        let _ = self.thread.join();
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_companion_learns_of_a_shutdown_before_the_thread_has_ended() {
        // Only some orders of the two threads would lose it.
        for _ in 0..100 {
            let handle = ServerHandle::new();
            let has_learned = Arc::new(AtomicBool::new(false));
            let (stopping, learned) = (handle.clone(), has_learned.clone());
            let companion = || {
                Ok(async move {
                    stopping.stopping().await;
                    learned.store(true, Ordering::SeqCst);
                    pending().await
                })
            };
            let thread = SignalThread::start(handle.clone(), None, companion)
                .await
                .unwrap();
            handle.begin_shutdown();
            thread.end();
            assert!(has_learned.load(Ordering::SeqCst));
        }
    }
}
