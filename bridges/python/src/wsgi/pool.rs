//! The threads that run the application, and the queue of what they serve.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict as _, PyDict};

use super::environ::Environs;
use super::exchange::Exchange;
use super::relay::Relay;
use crate::tolerance::Tolerance;

/// The parts of a pool that come from the package in Python, as attributes of one object.
#[derive(FromPyObject)]
pub(crate) struct Parts {
    app: Py<PyAny>,
    threads: usize,
    has_several_processes: bool,
    /// The context of the server, which calls begin with a copy of.
    context: Py<PyAny>,
    log_exception: Py<PyAny>,
}

/// The threads of an application, and what they share.
///
/// The queue has no bound of its own: each exchange in flight is in it once, and the server bounds the exchanges.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) app: Py<PyAny>,
    pub(super) context: Py<PyAny>,
    /// Logs an exception that no line of the server shows: `log(level, exception)`.
    pub(super) log_exception: Py<PyAny>,
    pub(super) shows_exceptions: bool,
    pub(super) environs: Environs,
    pub(super) relay: Relay,
    pub(super) tolerance: Tolerance,
    queue: Mutex<Queue>,
    /// Notified each time a thread ends, for the close of the pool.
    thread_ended: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    exchanges: VecDeque<Arc<Exchange>>,
    /// The threads that wait for an exchange. The thread that has begun to wait last gets the next one, so that little work
    /// stays on few threads.
    idle: Vec<Arc<Idle>>,
    /// Whether a thread has been woken that has not looked into the queue yet. No other is woken meanwhile, because it wakes
    /// the next one itself if there is more to do.
    is_waking: bool,
    /// The number of threads that serve an exchange whose end is waited for.
    busy: usize,
    /// The number of threads.
    threads: usize,
    is_closed: bool,
    /// Woken when no thread is busy any more.
    when_idle: Option<Waker>,
}

/// A thread that waits.
#[derive(Debug)]
struct Idle {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Idle {
    fn wake(&self) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Waits to be woken. Python is detached.
    fn wait(&self) {
        while !self.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start(
        py: Python<'_>,
        parts: Parts,
        shows_exceptions: bool,
    ) -> PyResult<Arc<Self>> {
        let pool = Arc::new(Self {
            app: parts.app,
            context: parts.context,
            log_exception: parts.log_exception,
            shows_exceptions,
            environs: Environs::new(py, parts.threads > 1, parts.has_several_processes)?,
            relay: Relay::default(),
            tolerance: Tolerance::default(),
            queue: Mutex::default(),
            thread_ended: Condvar::new(),
        });
        let thread_type = py.import("threading")?.getattr("Thread")?;
        for number in 0..parts.threads {
            let serve = Bound::new(py, Serve(pool.clone()))?;
            let keywords: Bound<'_, PyDict> = [
                ("target", serve.into_any()),
                (
                    "name",
                    format!("callgate-wsgi-{number}")
                        .into_pyobject(py)?
                        .into_any(),
                ),
                ("daemon", true.into_pyobject(py)?.to_owned().into_any()),
            ]
            .into_py_dict(py)?;
            pool.lock().threads += 1;
            let started = thread_type
                .call((), Some(&keywords))
                .and_then(|thread| thread.call_method0("start"));
            if let Err(error) = started {
                pool.lock().threads -= 1;
                pool.close();
                return Err(error);
            }
        }
        Ok(pool)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic under this lock")
    }

    /// Has a thread serve an exchange.
    pub(super) fn push(&self, exchange: Arc<Exchange>) {
        self.lock().exchanges.push_back(exchange);
        if !self.relay.ask_for_thread() {
            self.wake_thread();
        }
    }

    /// Wakes a thread, if one waits and there is something to serve.
    pub(super) fn wake_thread(&self) {
        let woken = self.lock().next_to_wake();
        if let Some(idle) = woken {
            idle.wake();
        }
    }

    /// Returns whether exchanges wait for a thread.
    pub(super) fn has_waiting(&self) -> bool {
        !self.lock().exchanges.is_empty()
    }

    /// Serves exchanges until the pool is closed.
    fn serve(self: &Arc<Self>, py: Python<'_>) {
        let this = Arc::new(Idle {
            thread: thread::current(),
            is_woken: AtomicBool::new(false),
        });
        loop {
            let (exchange, woken) = {
                let mut queue = self.lock();
                match queue.exchanges.pop_front() {
                    Some(exchange) => {
                        queue.busy += 1;
                        (Some(exchange), queue.next_to_wake())
                    }
                    None if queue.is_closed => {
                        queue.threads -= 1;
                        break;
                    }
                    None => {
                        queue.idle.push(this.clone());
                        (None, None)
                    }
                }
            };
            if let Some(idle) = woken {
                idle.wake();
            }
            match exchange {
                Some(exchange) => {
                    self.run(py, &exchange);
                    if exchange.finish() {
                        self.release();
                    }
                }
                None => {
                    self.relay.flush();
                    py.detach(|| this.wait());
                    self.lock().is_waking = false;
                }
            }
        }
        self.thread_ended.notify_all();
    }

    /// Ends the service of an exchange: it has ended, or its end is not waited for.
    pub(super) fn release(&self) {
        let waker = {
            let mut queue = self.lock();
            queue.busy -= 1;
            match queue.is_idle() {
                true => queue.when_idle.take(),
                false => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns ready once no thread serves an exchange that has not been given up.
    pub(super) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if queue.is_idle() {
            return Poll::Ready(());
        }
        queue.when_idle = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends the threads, each when it has served what it serves.
    pub(super) fn close(&self) {
        let idle = {
            let mut queue = self.lock();
            queue.is_closed = true;
            std::mem::take(&mut queue.idle)
        };
        for idle in idle {
            idle.wake();
        }
    }

    /// Waits until the threads have ended, at most for this time. Returns the number of those that have not. Python is detached.
    pub(super) fn wait_for_end(&self, patience: Duration) -> usize {
        let mut queue = self.lock();
        let start = Instant::now();
        while queue.threads > 0 {
            let Some(left) = patience.checked_sub(start.elapsed()) else {
                break;
            };
            let waited = self.thread_ended.wait_timeout(queue, left);
            (queue, _) = waited.expect("no panic under this lock");
        }
        queue.threads
    }
}

impl Queue {
    /// Returns the thread to wake for what is in the queue.
    fn next_to_wake(&mut self) -> Option<Arc<Idle>> {
        if self.is_waking || self.exchanges.is_empty() {
            return None;
        }
        let idle = self.idle.pop();
        self.is_waking = idle.is_some();
        idle
    }

    fn is_idle(&self) -> bool {
        self.busy == 0 && self.exchanges.is_empty()
    }
}

/// What a thread of Python runs.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
struct Serve(Arc<Pool>);

#[pymethods]
impl Serve {
    fn __call__(&self, py: Python<'_>) {
        self.0.serve(py);
    }
}
