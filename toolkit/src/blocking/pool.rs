//! A bounded pool of threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Threads for functions that block: no more than so many, however many calls there are.
///
/// A call for which no thread is free waits without one, and in turn. Threads are started when they
/// are needed, kept for the next call, and end with the last clone of the pool and of what was made
/// of it.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    size: usize,
    /// How many calls may wait for a thread.
    max_waiting: usize,
    /// How long each may.
    max_wait: Option<Duration>,
    waiting: AtomicUsize,
    /// One for each thread: who has it has a thread, at once or as soon as it has been started.
    turns: Arc<Semaphore>,
    jobs: Arc<Jobs>,
}

struct Jobs {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job, those included that have been woken for one.
    idle: usize,
    started: usize,
    is_closed: bool,
}

/// What a thread does next.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Its holder's turn to run on a thread.
pub(super) type Turn = OwnedSemaphorePermit;

impl Pool {
    /// A pool of at most so many threads, at least one.
    ///
    /// As many as calls are to be made at once: of a database, say, as many as it has connections
    /// for this program.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let size = threads.max(1);
        Self(Arc::new(Inner {
            size,
            max_waiting: 1024,
            max_wait: None,
            waiting: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(size)),
            jobs: Arc::new(Jobs {
                queue: Mutex::default(),
                arrived: Condvar::new(),
            }),
        }))
    }

    /// How many calls may wait for a thread; any more are answered with 503. Default 1024.
    ///
    /// # Panics
    ///
    /// When the pool has been cloned, or an application has been made of it.
    #[must_use]
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.inner().max_waiting = calls;
        self
    }

    /// How long a call may wait for a thread; after that it is answered with 503. Default: as long
    /// as it takes.
    ///
    /// # Panics
    ///
    /// When the pool has been cloned, or an application has been made of it.
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.inner().max_wait = Some(time);
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("a pool that is not shared yet")
    }

    /// How many threads there may be.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// How many threads have been started.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.jobs.queue.lock().unwrap().started
    }

    /// How many calls wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a turn to run on a thread; none when too many do, or for too long.
    pub(super) async fn turn(&self) -> Option<Turn> {
        if let Ok(turn) = self.0.turns.clone().try_acquire_owned() {
            return Some(turn);
        }
        let waiting = Waiting::new(&self.0)?;
        let turn = self.0.turns.clone().acquire_owned();
        let turn = match self.0.max_wait {
            Some(time) => tokio::time::timeout(time, turn).await.ok()?,
            None => turn.await,
        };
        drop(waiting);
        Some(turn.expect("turns are never closed"))
    }

    /// Runs `job` on a thread, whose turn it holds.
    pub(super) fn run(&self, job: Job) {
        let mut queue = self.0.jobs.queue.lock().unwrap();
        queue.jobs.push_back(job);
        if queue.jobs.len() > queue.idle && queue.started < self.0.size {
            queue.started += 1;
            let jobs = self.0.jobs.clone();
            std::thread::Builder::new()
                .name("callgate-blocking".into())
                .spawn(move || jobs.work())
                .expect("the system has a thread for the pool");
        } else {
            self.0.jobs.arrived.notify_one();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size())
            .field("threads", &self.threads())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Jobs {
    /// What each thread does.
    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.is_closed {
                return None;
            }
            queue.idle += 1;
            queue = self.arrived.wait(queue).unwrap();
            queue.idle -= 1;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs.queue.lock().unwrap().is_closed = true;
        self.jobs.arrived.notify_all();
    }
}

/// A call that waits, for as long as it lives.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Option<Self> {
        let before = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(inner);
        (before < inner.max_waiting).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
