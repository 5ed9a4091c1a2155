//! What a server that runs shares with the code that replaces it by another process.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listener::{Listener, PassedSocket};
use crate::retirement::Retirement;

/// The sockets of a server, from its predecessor and for its successor.
#[derive(Debug)]
pub(crate) struct Succession {
    retirement: Arc<Retirement>,
    /// The listeners of the predecessor that this process has not taken, each with its origin.
    inherited: Mutex<Vec<(String, Listener)>>,
    /// The sockets for a successor, until the server stops to accept.
    sockets: Mutex<Option<Vec<PassedSocket>>>,
    has_predecessor: bool,
    is_handed_over: AtomicBool,
    /// The upgrades that have completed since the first process of the server.
    completed_upgrades: AtomicU64,
    /// The upgrades of this process that have failed.
    failed_upgrades: AtomicU64,
}

impl Succession {
    pub(crate) fn new(retirement: Retirement, inherited: Vec<(String, Listener)>) -> Self {
        Self {
            retirement: Arc::new(retirement),
            has_predecessor: !inherited.is_empty(),
            inherited: Mutex::new(inherited),
            sockets: Mutex::default(),
            is_handed_over: AtomicBool::new(false),
            completed_upgrades: AtomicU64::new(0),
            failed_upgrades: AtomicU64::new(0),
        }
    }

    /// Sets the number of the upgrades that have completed since the first process of the server.
    pub(crate) fn set_completed_upgrades(&self, number: u64) {
        self.completed_upgrades.store(number, Ordering::Relaxed);
    }

    pub(crate) fn completed_upgrades(&self) -> u64 {
        self.completed_upgrades.load(Ordering::Relaxed)
    }

    /// Counts an upgrade that has failed.
    pub(crate) fn upgrade_failed(&self) {
        self.failed_upgrades.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of upgrades by their outcome.
    pub(crate) fn upgrades(&self) -> [(&'static str, u64); 2] {
        let failed = self.failed_upgrades.load(Ordering::Relaxed);
        [("completed", self.completed_upgrades()), ("failed", failed)]
    }

    /// Returns the limits of this process.
    pub(crate) fn retirement(&self) -> Arc<Retirement> {
        self.retirement.clone()
    }

    /// Returns whether a predecessor has passed sockets on.
    pub(crate) fn has_predecessor(&self) -> bool {
        self.has_predecessor
    }

    /// Takes the listeners of the predecessor that came with its process.
    pub(crate) fn take_activated(&self) -> Vec<Listener> {
        self.take("")
    }

    /// Takes the listeners of the predecessor with this origin.
    pub(crate) fn take(&self, origin: &str) -> Vec<Listener> {
        let mut inherited = lock(&self.inherited);
        let taken = inherited.extract_if(.., |(of, _)| of == origin);
        taken.map(|(_, listener)| listener).collect()
    }

    /// Takes the listeners that the settings no longer name.
    pub(crate) fn take_rest(&self) -> Vec<(String, Listener)> {
        mem::take(&mut *lock(&self.inherited))
    }

    /// Shares the sockets of a server with its successor.
    pub(crate) fn share(&self, sockets: Vec<PassedSocket>) {
        *lock(&self.sockets) = Some(sockets);
    }

    /// Returns duplicates of the sockets for a successor.
    pub(crate) fn sockets(&self) -> io::Result<Vec<PassedSocket>> {
        let sockets = lock(&self.sockets);
        (sockets.iter().flatten())
            .map(PassedSocket::try_clone)
            .collect()
    }

    /// Gives the sockets and their files to a successor by `tell`, or to nobody if that fails. Returns
    /// `None` if the server has stopped to accept.
    pub(crate) fn hand_over<E>(
        &self,
        tell: impl FnOnce() -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let sockets = lock(&self.sockets);
        let files = || (sockets.iter().flatten()).filter_map(|socket| socket.file.as_ref());
        sockets.as_ref()?;
        files().for_each(|file| file.set(false));
        let result = tell();
        match result {
            Ok(()) => self.is_handed_over.store(true, Ordering::Release),
            Err(_) => files().for_each(|file| file.set(true)),
        }
        Some(result)
    }

    /// Closes the duplicates of the sockets, because the server stops to accept. Returns whether they
    /// belong to a successor.
    pub(crate) fn close(&self) -> bool {
        let mut sockets = lock(&self.sockets);
        *sockets = None;
        self.is_handed_over()
    }

    /// Returns whether the sockets belong to a successor.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.is_handed_over.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
