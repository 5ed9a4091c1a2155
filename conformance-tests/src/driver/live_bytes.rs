//! Counts the bytes of a client's content that an application holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The number of bytes of delivered events that have not been dropped. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveBytes(Arc<AtomicUsize>);

impl LiveBytes {
    /// Returns `part` as bytes that are counted until the last clone of them is dropped.
    pub(crate) fn track(&self, part: &Arc<[u8]>) -> Bytes {
        self.0.fetch_add(part.len(), Ordering::Relaxed);
        Bytes::from_owner(CountedPart {
            part: part.clone(),
            live_bytes: self.clone(),
        })
    }

    /// Returns the number of bytes that have not been dropped.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A part that is shared, not copied, however many times it is sent.
struct CountedPart {
    part: Arc<[u8]>,
    live_bytes: LiveBytes,
}

impl AsRef<[u8]> for CountedPart {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for CountedPart {
    fn drop(&mut self) {
        self.live_bytes
            .0
            .fetch_sub(self.part.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_clone_is_dropped() {
        let live_bytes = LiveBytes::default();
        let part = Arc::from(&[0; 10][..]);
        let bytes = live_bytes.track(&part);
        let slice = bytes.slice(2..3);
        assert_eq!(live_bytes.count(), 10);
        drop(bytes);
        assert_eq!(live_bytes.count(), 10);
        drop(slice);
        assert_eq!(live_bytes.count(), 0);
    }
}
