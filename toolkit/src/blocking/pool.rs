//! A bounded pool of threads.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded pool of threads for functions that block.
///
/// A call for which no thread is free waits, in order and without a thread. Threads are started when
/// they are needed and kept for the next call; they end with the last clone of the pool and of its
/// applications. Where the system refuses a thread, the pool works with the threads that it has, and a
/// call fails when it has none.
#[derive(Clone)]
pub struct ThreadPool(Arc<Inner>);

struct Inner {
    size: usize,
    /// The number of calls that may wait for a thread.
    max_waiting: usize,
    /// The time for which a call may wait.
    max_wait: Option<Duration>,
    waiting: AtomicUsize,
    /// One permit for each thread.
    permits: Arc<Semaphore>,
    queue: Arc<JobQueue>,
    /// Starts a thread. Tests replace the function with one that fails.
    start: fn(Arc<JobQueue>) -> io::Result<()>,
}

/// The jobs that the threads take.
struct JobQueue {
    state: Mutex<QueueState>,
    /// Notified when a job has arrived, and when the queue is closed.
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    /// The number of threads that wait for a job, including those that have been notified of one.
    idle: usize,
    started: usize,
    is_closed: bool,
}

/// The work of one call, which a thread runs.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The right to run one job on a thread.
pub(super) type Permit = OwnedSemaphorePermit;

impl ThreadPool {
    /// Creates a pool of at most `threads` threads, and at least one.
    ///
    /// The number is that of the calls that should run at once: for functions that use a database, the
    /// number of its connections.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let size = threads.max(1);
        Self(Arc::new(Inner {
            size,
            max_waiting: 1024,
            max_wait: None,
            waiting: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(size)),
            queue: Arc::new(JobQueue {
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            start,
        }))
    }

    /// Sets how many calls may wait for a thread. A call beyond that gets a 503. Default 1024.
    ///
    /// # Panics
    ///
    /// When the pool has been cloned or has an application.
    #[must_use]
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.inner().max_waiting = calls;
        self
    }

    /// Sets how long a call may wait for a thread. After that it gets a 503. Unlimited by default.
    ///
    /// # Panics
    ///
    /// When the pool has been cloned or has an application.
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.inner().max_wait = Some(time);
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("a pool that is not shared yet")
    }

    /// Returns the number of threads that the pool may start.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Returns the number of threads that the pool has started.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.queue.state.lock().unwrap().started
    }

    /// Returns the number of calls that wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a permit; `None` when too many calls wait, or this one has waited for too long.
    pub(super) async fn acquire(&self) -> Option<Permit> {
        if let Ok(permit) = self.0.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        let waiting = WaitingCall::new(&self.0)?;
        let permit = self.0.permits.clone().acquire_owned();
        let permit = match self.0.max_wait {
            Some(time) => tokio::time::timeout(time, permit).await.ok()?,
            None => permit.await,
        };
        drop(waiting);
        Some(permit.expect("the semaphore is never closed"))
    }

    /// Runs `job` on a thread. The job holds a permit.
    ///
    /// # Errors
    ///
    /// When the pool has no thread and the system refuses one. The job is dropped then.
    pub(super) fn run(&self, job: Job) -> io::Result<()> {
        let mut state = self.0.queue.state.lock().unwrap();
        if state.jobs.len() >= state.idle && state.started < self.0.size {
            match (self.0.start)(self.0.queue.clone()) {
                Ok(()) => state.started += 1,
                Err(error) if state.started == 0 => return Err(error),
                // A thread that has been started takes the job later.
                Err(_) => {}
            }
        }
        state.jobs.push_back(job);
        self.0.queue.changed.notify_one();
        Ok(())
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("size", &self.size())
            .field("threads", &self.threads())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

fn start(queue: Arc<JobQueue>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("callgate-blocking".into());
    thread.spawn(move || queue.run_jobs()).map(drop)
}

impl JobQueue {
    /// Runs jobs until the queue is closed: the life of a thread.
    fn run_jobs(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap();
            state.idle -= 1;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.state.lock().unwrap().is_closed = true;
        self.queue.changed.notify_all();
    }
}

/// Counts a call as waiting until it is dropped.
struct WaitingCall<'a>(&'a Inner);

impl<'a> WaitingCall<'a> {
    fn new(inner: &'a Inner) -> Option<Self> {
        let before = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(inner);
        (before < inner.max_waiting).then_some(waiting)
    }
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn when_the_system_refuses_a_thread_the_pool_uses_those_it_has_and_tries_again_later() {
        static IS_SHORT: AtomicBool = AtomicBool::new(true);
        let mut pool = ThreadPool::new(2);
        pool.inner().start = |queue| match IS_SHORT.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => start(queue),
        };
        let (done, is_done) = channel();
        let job = |number| {
            let done = done.clone();
            Box::new(move || done.send(number).unwrap())
        };
        pool.run(job(1)).unwrap_err();

        IS_SHORT.store(false, Ordering::Relaxed);
        let (go, may_go) = channel::<()>();
        pool.run(Box::new(move || may_go.recv().unwrap())).unwrap();
        IS_SHORT.store(true, Ordering::Relaxed);
        pool.run(job(2)).unwrap();
        assert_eq!(pool.threads(), 1);
        go.send(()).unwrap();
        assert_eq!(is_done.recv().unwrap(), 2);
    }
}
