//! A Tokio runtime as the guest of an event loop of asyncio, on the thread of that loop.
//!
//! The loop watches the descriptor of the runtime's driver. Whenever the descriptor is readable, the loop calls
//! [`Guest::turn`], which asks the driver what is ready, and runs every task that can run. So no turn blocks, and
//! none leaves a task behind that can run: all tasks of the server are in a [`LocalSet`], and the waker of the set
//! ([`Wake`]) knows when one of them has been woken.
//!
//! Tokio does not tell when its next timer is due. While the guest runs, the loop calls it every [`TICK`] for that.

mod descriptor;
mod wake;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use callgate_drive::turn;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use self::wake::{Inside, Wake};

/// How late a timer of the runtime may be.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How often a turn runs the tasks that can run before the event loop has its turn again. Each time at most 61 tasks run.
const ROUNDS: usize = 16;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Guest>>> = const { RefCell::new(None) };
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// A runtime whose tasks run when [`turn`](Self::turn) is called.
#[derive(Debug)]
pub(crate) struct Guest {
    runtime: Runtime,
    tasks: LocalSet,
    descriptor: i32,
    wake: Arc<Wake>,
    waker: Waker,
    wake_reader: RefCell<io::PipeReader>,
    is_turning: Cell<bool>,
}

impl Guest {
    /// Creates the guest of this thread.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors, or does not tell those of the process.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let descriptor = descriptor::of_driver(&runtime)?;
        let (wake_reader, wake) = Wake::new()?;
        let wake = Arc::new(wake);
        let guest = Rc::new(Self {
            runtime,
            tasks: LocalSet::new(),
            descriptor,
            waker: wake.clone().into(),
            wake,
            wake_reader: RefCell::new(wake_reader),
            is_turning: Cell::new(false),
        });
        callgate_drive::task::spawn_locally();
        CURRENT.set(Some(guest.clone()));
        Ok(guest)
    }

    /// Returns the descriptors that are readable when a turn is due: that of the driver, and that of wakes from other
    /// threads.
    pub(crate) fn descriptors(&self) -> [i32; 2] {
        [self.descriptor, self.wake_reader.borrow().as_raw_fd()]
    }

    /// Runs `future` on a task of its own, in the turns to come.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.enter(|| drop(self.tasks.spawn_local(future)));
    }

    /// Runs all that can run. Returns whether something is left, so that another turn is due.
    pub(crate) fn turn(&self) -> bool {
        if self.is_turning.replace(true) {
            // The application runs the event loop inside of a turn, which goes on later.
            return false;
        }
        TURN.set(TURN.get() + 1);
        let inside = Inside::new();
        let mut rounds = 0;
        turn::begin();
        self.runtime.block_on(poll_fn(|cx| {
            // The first round is also for tasks that were spawned before the waker was known to the set.
            if rounds > 0 && (!self.wake.is_set() || rounds > ROUNDS) {
                return Poll::Ready(());
            }
            self.wake.take();
            self.poll_tasks();
            rounds += 1;
            // A runtime whose future is woken polls its driver, without blocking, before it polls the future again. Then it also
            // wakes the tasks that have used up their budget, which would be forgotten at the end of `block_on`.
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        {
            let _runtime = self.runtime.enter();
            let _tasks = self.tasks.enter();
            turn::end();
        }
        drop(inside);
        self.is_turning.set(false);
        self.wake.is_set()
    }

    fn poll_tasks(&self) {
        let tasks = pin!(self.tasks.run_until(pending::<()>()));
        let _ = tasks.poll(&mut Context::from_waker(&self.waker));
    }

    /// Reads what has woken the event loop from other threads.
    pub(crate) fn drain_wakes(&self) {
        let mut octets = [0; 64];
        // The pipe does not block, and one turn is enough for all wakes.
        while let Ok(64) = self.wake_reader.borrow_mut().read(&mut octets) {}
    }

    /// Calls `f` where tasks can be spawned and timers can be set. Returns with the result whether a turn is due that
    /// nobody has asked for.
    fn enter<T>(&self, f: impl FnOnce() -> T) -> (T, bool) {
        let _runtime = self.runtime.enter();
        let _tasks = self.tasks.enter();
        let was_set = self.wake.is_set();
        let inside = Inside::new();
        let result = f();
        drop(inside);
        (result, self.wake.is_set() && !was_set)
    }
}

/// Calls `f` in the guest of this thread. Returns with the result whether a turn is due that nobody has asked for.
///
/// Inside of a turn, and on a thread without a guest, `f` is called directly.
pub(crate) fn enter<T>(f: impl FnOnce() -> T) -> (T, bool) {
    if Inside::is_inside() {
        return (f(), false);
    }
    let guest = CURRENT.with_borrow(Clone::clone);
    match guest {
        Some(guest) => guest.enter(f),
        None => (f(), false),
    }
}

/// Returns the number of the turn in which this thread is, from 1; that of the last one outside a turn, and 0 before the first.
pub(crate) fn turn() -> u64 {
    TURN.get()
}

/// Ends the guest of this thread: no task runs any more.
pub(crate) fn close() {
    CURRENT.set(None);
}
