//! The tasks that wait for an event.

use std::task::Waker;

use slab::Slab;

/// The wakers of the tasks that wait for the next event of a log. All of them are taken at once.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: Slab<Waker>,
    /// How often the wakers were taken: a registration from before is void.
    round: u64,
}

/// The place of a waker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registration {
    round: u64,
    key: usize,
}

impl Waiters {
    /// Registers a waker, in the place of its earlier registration if that is still valid.
    pub(super) fn register(&mut self, registration: &mut Option<Registration>, waker: &Waker) {
        if let Some(registered) = registration
            && registered.round == self.round
        {
            self.wakers[registered.key].clone_from(waker);
        } else {
            let key = self.wakers.insert(waker.clone());
            *registration = Some(Registration {
                round: self.round,
                key,
            });
        }
    }

    /// Removes a registration. Returns the waker, which is dropped outside of locks.
    pub(super) fn remove(&mut self, registration: Registration) -> Option<Waker> {
        (registration.round == self.round).then(|| self.wakers.remove(registration.key))
    }

    /// Returns all wakers, and forgets them.
    pub(super) fn take(&mut self) -> Slab<Waker> {
        if self.wakers.is_empty() {
            return Slab::new();
        }
        self.round += 1;
        let capacity = self.wakers.len();
        std::mem::replace(&mut self.wakers, Slab::with_capacity(capacity))
    }
}
