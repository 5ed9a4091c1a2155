//! The mutex of the mailboxes: the standard one, or loom's when their races are model-checked.

#[cfg(callgate_loom)]
use loom::sync as imp;
#[cfg(not(callgate_loom))]
use std::sync as imp;
use std::sync::PoisonError;
use std::task::Waker;

pub(crate) use imp::MutexGuard;

/// A mutex that outlives a panic of its holder: no state behind it is left half changed.
#[derive(Debug)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers whom to wake; a task that registers again takes the place of its old waker.
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(registered) => registered.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

/// Wakes whoever has registered, once.
pub(crate) fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

/// The tasks that wait to send: nearly always one at most.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|registered| registered.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn wake_all(&mut self) {
        if !self.0.is_empty() {
            self.0.drain(..).for_each(Waker::wake);
        }
    }
}

/// Wakers that are called when the list is dropped: after the lock under which they were collected
/// has been released, as a waker may run code that takes the lock.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    single: [Option<Waker>; 3],
    more: Vec<Waker>,
}

impl WakeList {
    /// Takes the waker that is registered in `slot`.
    pub(crate) fn add(&mut self, slot: &mut Option<Waker>) {
        if let Some(waker) = slot.take() {
            match self.single.iter_mut().find(|free| free.is_none()) {
                Some(free) => *free = Some(waker),
                None => self.more.push(waker),
            }
        }
    }

    /// Takes all wakers that are registered in `wakers`.
    pub(crate) fn add_all(&mut self, wakers: &mut Wakers) {
        self.more.append(&mut wakers.0);
    }
}

impl Drop for WakeList {
    fn drop(&mut self) {
        self.single.iter_mut().for_each(wake);
        self.more.drain(..).for_each(Waker::wake);
    }
}
