//! What an application holds of what a client has sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Counts the bytes of the events that are still alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<AtomicUsize>);

impl Ledger {
    /// `part`, counted until its last clone is dropped.
    pub(crate) fn track(&self, part: &Arc<[u8]>) -> Bytes {
        self.0.fetch_add(part.len(), Ordering::Relaxed);
        Bytes::from_owner(Tracked {
            part: part.clone(),
            ledger: self.clone(),
        })
    }

    /// Bytes that are alive.
    pub(crate) fn alive(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A part that is not copied, however many times it is sent.
struct Tracked {
    part: Arc<[u8]>,
    ledger: Ledger,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.part.len(), Ordering::Relaxed);
    }
}

/// The memory of this process in bytes, where the system tells it.
pub(crate) fn resident_memory() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    // Where pages are larger, less is seen than there is.
    Some(pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_clone_is_dropped() {
        let ledger = Ledger::default();
        let part = Arc::from(&[0; 10][..]);
        let bytes = ledger.track(&part);
        let slice = bytes.slice(2..3);
        assert_eq!(ledger.alive(), 10);
        drop(bytes);
        assert_eq!(ledger.alive(), 10);
        drop(slice);
        assert_eq!(ledger.alive(), 0);
    }
}
