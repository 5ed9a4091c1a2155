//! A timer that completes although all threads of the runtime are blocked.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Completes after `time`; never if `time` is `None`.
///
/// The runtime's own timers need one of its threads, and an application may block all of them. This
/// timer has a thread of its own, which ends when the future is dropped. Only a shutdown uses it.
pub(crate) async fn elapsed(time: Option<Duration>) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    let (ring, rings) = oneshot::channel();
    let (cancel, cancelled) = mpsc::channel::<()>();
    let wait = move || {
        if cancelled.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            // This fails when the future has been dropped.
            let _ = ring.send(());
        }
    };
    let thread = thread::Builder::new().name("callgate-alarm".into());
    if thread.spawn(wait).is_err() || rings.await.is_err() {
        // The system cannot start another thread.
        tokio::time::sleep(time).await;
    }
    drop(cancel);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_timer_completes_while_the_only_worker_is_blocked() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (unblock, blocked) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        runtime.spawn(async move {
            begin.send(()).unwrap();
            let _ = blocked.recv();
        });
        begun.recv().unwrap();
        let start = Instant::now();
        runtime.block_on(elapsed(Some(Duration::from_millis(20))));
        assert!(start.elapsed() >= Duration::from_millis(20));
        unblock.send(()).unwrap();
    }
}
