//! The budget for what the server buffers, over all connections.
//!
//! Octets are counted where they are kept: the read buffer and the unwritten output of an HTTP/1 connection,
//! the content of an HTTP/2 connection in both directions, and the messages of a WebSocket. When the budget is
//! used up, the registry has the connection end that buffers the most, so no connection waits for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::registry::OpenConnection;

/// The octets that each owner buffers without being counted, so that small exchanges share nothing.
const UNCOUNTED: usize = 16 * 1024;

/// The step in which octets are counted.
const STEP: usize = 16 * 1024;

/// The budget without a setting, if the memory of the machine is not known: 1 GiB.
const DEFAULT: usize = 1 << 30;

/// The octets that are buffered, and how many there may be.
#[derive(Debug)]
pub(crate) struct BufferBudget {
    limit: usize,
    counted: AtomicUsize,
    /// The counted octets of the connections that have been asked to end.
    leaving: AtomicUsize,
}

impl Default for BufferBudget {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl BufferBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            counted: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
        }
    }

    /// Returns the octets that are counted.
    #[cfg(any(test, feature = "metrics"))]
    pub(crate) fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, octets: usize) {
        self.counted.fetch_add(octets, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, octets: usize) {
        self.counted.fetch_sub(octets, Ordering::Relaxed);
    }

    /// Records that a connection with so many octets has been asked to end.
    pub(crate) fn leaves(&self, octets: usize) {
        self.leaving.fetch_add(octets, Ordering::Relaxed);
    }

    /// Records that such a connection has ended.
    pub(crate) fn left(&self, octets: usize) {
        self.leaving.fetch_sub(octets, Ordering::Relaxed);
    }

    /// Returns whether more is buffered than the budget has, beside what is about to be released.
    pub(crate) fn is_exceeded(&self) -> bool {
        let counted = self.counted.load(Ordering::Relaxed);
        counted.saturating_sub(self.leaving.load(Ordering::Relaxed)) > self.limit
    }
}

/// Counts what one owner buffers for its connection. The octets are released when the value is dropped.
#[derive(Debug)]
pub(crate) struct BufferShare {
    connection: Arc<OpenConnection>,
    counted: AtomicUsize,
}

impl BufferShare {
    /// Creates the share of an owner that buffers nothing.
    pub(crate) fn new(connection: Arc<OpenConnection>) -> Self {
        Self {
            connection,
            counted: AtomicUsize::new(0),
        }
    }

    /// Sets what the owner buffers, in octets.
    #[inline]
    pub(crate) fn set(&self, octets: usize) {
        let counted = octets.saturating_sub(UNCOUNTED).next_multiple_of(STEP);
        if counted != self.counted.load(Ordering::Relaxed) {
            self.change(counted);
        }
    }

    /// Sets what the owner buffers to the value of `octets`, which other threads change as well.
    #[cfg(feature = "http2")]
    pub(crate) fn update(&self, octets: impl Fn() -> usize) {
        let mut now = octets();
        loop {
            self.set(now);
            let last = std::mem::replace(&mut now, octets());
            if now == last {
                return;
            }
        }
    }

    #[cold]
    fn change(&self, counted: usize) {
        let before = self.counted.swap(counted, Ordering::Relaxed);
        self.connection.buffered(before, counted);
    }
}

impl Drop for BufferShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Returns the budget of a machine with so much memory, in octets: a quarter.
pub(crate) fn automatic(memory: Option<u64>) -> usize {
    memory.map_or(DEFAULT, |memory| {
        usize::try_from(memory / 4).unwrap_or(usize::MAX)
    })
}

/// Returns the memory of the machine, or of the container if it has less, in octets; `None` if it is not known.
pub(crate) fn memory() -> Option<u64> {
    let read = |path| std::fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes * 1024)
    });
    let of_container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    [of_machine, of_container].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::registry::Registry;

    const LIMIT: usize = 256 * 1024;

    /// Whether a task has been woken.
    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_budget_is_a_quarter_of_the_memory() {
        assert_eq!(automatic(Some(1 << 32)), 1 << 30);
        assert_eq!(automatic(None), DEFAULT);
    }

    #[test]
    fn small_buffers_are_not_counted_and_large_ones_are_until_their_share_is_dropped() {
        let registry = Arc::new(Registry::new(false, LIMIT));
        let share = BufferShare::new(registry.add(None));
        share.set(UNCOUNTED);
        assert_eq!(registry.budget.counted(), 0);
        share.set(UNCOUNTED + 1);
        assert_eq!(registry.budget.counted(), STEP);
        let other = BufferShare::new(registry.add(None));
        other.set(UNCOUNTED + 3 * STEP);
        assert_eq!(registry.budget.counted(), 4 * STEP);
        share.set(0);
        assert_eq!(registry.budget.counted(), 3 * STEP);
        drop(other);
        assert_eq!(registry.budget.counted(), 0);
    }

    #[test]
    fn the_connections_that_buffer_the_most_end_until_the_budget_suffices() {
        let registry = Arc::new(Registry::new(false, LIMIT));
        let connections = [(); 4].map(|()| registry.add(None));
        let shares = connections
            .each_ref()
            .map(|it| BufferShare::new(it.clone()));
        let asked = |connections: &[Arc<OpenConnection>]| -> Vec<u64> {
            let asked = connections.iter().filter(|it| it.must_release());
            asked.map(|it| it.id()).collect()
        };
        for (share, sixteenths) in shares.iter().zip([4, 7, 5, 0]) {
            share.set(UNCOUNTED + LIMIT / 16 * sixteenths);
        }
        assert!(asked(&connections).is_empty());
        let is_woken = Arc::new(Flag::default());
        let waker = Waker::from(is_woken.clone());
        connections[1].register_task(&Context::from_waker(&waker));
        shares[3].set(UNCOUNTED + LIMIT / 16);
        assert_eq!(asked(&connections), [2]);
        assert!(is_woken.0.load(Ordering::Relaxed));
        // What is about to be released counts no more, and a connection is asked once.
        shares[0].set(UNCOUNTED + LIMIT / 16 * 6);
        assert!(asked(&connections).is_empty());
        // A connection that has released its buffers is not the one that buffers the most.
        shares[0].set(0);
        shares[3].set(UNCOUNTED + LIMIT / 16 * 4);
        shares[1].set(UNCOUNTED + LIMIT / 16 * 17);
        assert_eq!(asked(&connections), [3]);
        // The end of a connection that was asked leaves the budget as it was.
        drop((shares, connections));
        assert_eq!(registry.budget.counted(), 0);
        let connections = [registry.add(None)];
        let share = BufferShare::new(connections[0].clone());
        share.set(UNCOUNTED + LIMIT + STEP);
        assert_eq!(asked(&connections).len(), 1);
    }
}
