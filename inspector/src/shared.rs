//! What clones of an inspector, its applications and those who look share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::bounds::Bounds;
use crate::exchange::{Entry, Summary};
use crate::store::Store;

/// The store, and who waits for it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The number of those who look.
    pub(crate) watchers: AtomicUsize,
    pub(crate) bounds: Bounds,
    store: Mutex<Store>,
    /// The version of the store, for those who wait for a change.
    pub(crate) versions: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            watchers: AtomicUsize::new(0),
            bounds,
            store: Mutex::new(Store::new(bounds)),
            versions: watch::Sender::new(0),
        }
    }

    /// Returns whether somebody looks.
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store, and tells those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store();
        let result = change(&mut store);
        self.versions.send_replace(store.version());
        result
    }

    pub(crate) fn add(&self, number: u64, entry: Entry, update: impl FnOnce(&mut Summary)) {
        self.change(|store| store.add(number, entry, update));
    }
}
