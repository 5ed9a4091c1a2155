//! Where the tasks of a server run.

use std::cell::Cell;
use std::future::Future;

use tokio::task::JoinHandle;

thread_local! {
    static IS_LOCAL: Cell<bool> = const { Cell::new(false) };
}

/// Runs `future` on a task of its own: of the runtime, or of the [`LocalSet`](tokio::task::LocalSet) that this thread
/// serves in ([`spawn_locally`]).
///
/// # Panics
///
/// Outside a Tokio runtime, or outside the `LocalSet`.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match IS_LOCAL.get() {
        true => tokio::task::spawn_local(future),
        false => tokio::spawn(future),
    }
}

/// Has this thread [`spawn`] its tasks into the `LocalSet` that it is in, from now on.
///
/// This is for a server whose thread belongs to another event loop. Such a loop must know whether a task can run, which
/// a `LocalSet` tells by the waker that it is polled with, and a runtime does not tell.
pub fn spawn_locally() {
    IS_LOCAL.set(true);
}

pub(crate) fn is_local() -> bool {
    IS_LOCAL.get()
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    /// Returns whether a spawned task has run after the runtime has, but no `LocalSet`.
    fn runs_outside_a_local_set() -> bool {
        let runtime = Builder::new_current_thread().build().unwrap();
        let tasks = LocalSet::new();
        let has_run = Arc::new(AtomicBool::new(false));
        let of_task = has_run.clone();
        {
            let _runtime = runtime.enter();
            let _tasks = tasks.enter();
            spawn(async move { of_task.store(true, Ordering::Relaxed) });
        }
        runtime.block_on(tokio::task::yield_now());
        let result = has_run.load(Ordering::Relaxed);
        runtime.block_on(tasks.run_until(tokio::task::yield_now()));
        assert!(has_run.load(Ordering::Relaxed));
        result
    }

    #[test]
    fn tasks_run_in_the_local_set_of_a_thread_that_asks_for_it() {
        assert!(runs_outside_a_local_set());
        let of_other = thread::spawn(|| {
            spawn_locally();
            runs_outside_a_local_set()
        });
        assert!(!of_other.join().unwrap());
        assert!(runs_outside_a_local_set());
    }
}
