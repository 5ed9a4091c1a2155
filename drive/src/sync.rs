//! The mutex of the mailboxes: the standard one, or loom's when their races are model-checked.
//!
//! Waking a task, and reading or dropping the content of a request, are foreign code, which may lock
//! the same mailbox. So neither happens while the mutex is held: the state collects wakers and
//! content, and they are called and dropped after the unlock.

#[cfg(callgate_loom)]
use loom::sync as imp;
use std::ops::{Deref, DerefMut};
#[cfg(not(callgate_loom))]
use std::sync as imp;
use std::sync::PoisonError;
use std::task::Waker;

/// State behind a [`Mutex`] that collects work for after the unlock.
pub(crate) trait Deferring {
    /// The work: wakers to call and values to drop.
    type Work;

    /// Takes the work collected since the last call; `None` when there is none.
    fn take_work(&mut self) -> Option<Self::Work>;

    /// Does the work. The caller holds no lock.
    fn run(work: Self::Work);
}

/// A mutex that ignores poisoning: no operation leaves the state half changed.
#[derive(Debug)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T: Deferring> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// Locks the state. The work that the state has collected runs when the guard is dropped, after
    /// the unlock.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        Guard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Runs `access` on the locked state, and the collected work after the unlock. Cheaper than
    /// [`lock`](Self::lock), for the calls that every exchange makes.
    #[inline]
    pub(crate) fn with<R>(&self, access: impl FnOnce(&mut T) -> R) -> R {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = access(&mut guard);
        let work = guard.take_work();
        drop(guard);
        if let Some(work) = work {
            T::run(work);
        }
        result
    }

    /// Returns the state of a mutex that has no other user. The caller runs the collected work.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Access to the state of a [`Mutex`].
pub(crate) struct Guard<'a, T: Deferring>(Option<imp::MutexGuard<'a, T>>);

impl<T: Deferring> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("present until it is dropped")
    }
}

impl<T: Deferring> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("present until it is dropped")
    }
}

impl<T: Deferring> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let work = self.take_work();
        self.0 = None;
        if let Some(work) = work {
            T::run(work);
        }
    }
}

/// Registers a waker; a task that registers again replaces its old waker.
#[inline]
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(registered) => registered.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

/// Wakers to call after the unlock: nearly always at most one.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl WakeList {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Moves the registered waker to this list.
    #[inline]
    pub(crate) fn add(&mut self, registered: &mut Option<Waker>) {
        if let Some(waker) = registered.take() {
            self.push(waker);
        }
    }

    /// Moves all registered wakers to this list.
    #[inline]
    pub(crate) fn add_all(&mut self, registered: &mut WakerSet) {
        if !registered.0.is_empty() {
            registered.0.drain(..).for_each(|waker| self.push(waker));
        }
    }

    /// Moves the registered wakers to this list, and drops those of the task that `polled` wakes.
    /// Returns whether there was one of that task.
    #[cfg(feature = "websocket")]
    #[inline]
    pub(crate) fn add_others(&mut self, registered: &mut WakerSet, polled: &Waker) -> bool {
        let mut had_polled = false;
        for waker in registered.0.drain(..) {
            match waker.will_wake(polled) {
                true => had_polled = true,
                false => self.push(waker),
            }
        }
        had_polled
    }

    fn push(&mut self, waker: Waker) {
        match &self.first {
            None => self.first = Some(waker),
            // The application and the connection have the same waker when the application is polled
            // in place.
            Some(first) if first.will_wake(&waker) => {}
            Some(_) => self.others.push(waker),
        }
    }

    /// Calls the wakers.
    pub(crate) fn wake(self) {
        self.first
            .into_iter()
            .chain(self.others)
            .for_each(Waker::wake);
    }
}

/// The wakers of tasks that wait for the same thing: nearly always at most one.
#[derive(Debug, Default)]
pub(crate) struct WakerSet(Vec<Waker>);

impl WakerSet {
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|registered| registered.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }
}
