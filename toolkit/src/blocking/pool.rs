//! A bounded pool of threads.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Threads for functions that block: no more than so many, however many calls there are. Fewer, as
/// long as the system has no more; a call fails when there is none at all.
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
    /// Starts a thread; tests have one that fails.
    start: fn(Arc<Jobs>) -> io::Result<()>,
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
            start,
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
    ///
    /// # Errors
    ///
    /// When there is no thread, and the system has none to start; then the job is dropped.
    pub(super) fn run(&self, job: Job) -> io::Result<()> {
        let mut queue = self.0.jobs.queue.lock().unwrap();
        if queue.jobs.len() >= queue.idle && queue.started < self.0.size {
            match (self.0.start)(self.0.jobs.clone()) {
                Ok(()) => queue.started += 1,
                Err(error) if queue.started == 0 => return Err(error),
                // The threads that there are come to it in their turn.
                Err(_) => {}
            }
        }
        queue.jobs.push_back(job);
        self.0.jobs.arrived.notify_one();
        Ok(())
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

fn start(jobs: Arc<Jobs>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("callgate-blocking".into());
    thread.spawn(move || jobs.work()).map(drop)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn where_the_system_has_no_thread_those_there_are_go_on_and_later_calls_try_again() {
        static IS_SHORT: AtomicBool = AtomicBool::new(true);
        let mut pool = Pool::new(2);
        pool.inner().start = |jobs| match IS_SHORT.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => start(jobs),
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
