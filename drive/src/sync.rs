//! The mutex of the mailboxes: the standard one, or loom's when their races are model-checked.

#[cfg(callgate_loom)]
use loom::sync as imp;
#[cfg(not(callgate_loom))]
use std::sync as imp;
use std::sync::PoisonError;

use std::task::Waker;

/// A mutex that outlives a panic of its holder: no state behind it is left half changed.
#[derive(Debug)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> imp::MutexGuard<'_, T> {
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
