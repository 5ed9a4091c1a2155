//! Watching exchanges.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::exchange::Summary;
use crate::shared::Shared;

/// Somebody who looks at the exchanges of an [`Inspector`](crate::Inspector), which keeps exchanges while there
/// is one.
///
/// A watch never holds up an exchange. One that is slow learns the latest of each exchange, and how many it has
/// missed.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    versions: watch::Receiver<u64>,
    /// The version that was told last. `None` before the first.
    told: Option<u64>,
    /// The number of the last exchange that was told or missed.
    last_number: u64,
    cleared_to: u64,
}

/// What has changed since the last call of [`Watch::next`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The exchanges that have begun, gone on or ended, by number.
    pub summaries: Vec<Summary>,
    /// The number of exchanges that have begun and are no longer kept.
    pub missed: u64,
    /// Whether the exchanges before these were [cleared](crate::Inspector::clear).
    pub is_cleared: bool,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.watchers.fetch_add(1, Ordering::Relaxed);
        let (last_number, cleared_to) = {
            let store = shared.store();
            (store.last_number(), store.cleared_to())
        };
        Self {
            versions: shared.versions.subscribe(),
            shared,
            told: None,
            last_number,
            cleared_to,
        }
    }

    /// Waits for a change, and returns everything that has changed. The first call returns at once, with all
    /// exchanges that are kept.
    ///
    /// This method is cancel safe.
    pub async fn next(&mut self) -> Changes {
        if let Some(told) = self.told {
            let changed = self.versions.wait_for(|version| *version > told).await;
            drop(changed.expect("the sender is shared with this watch"));
        }
        let store = self.shared.store();
        let changed = store.changed_after(self.told.unwrap_or_default());
        let is_cleared = changed.cleared_to > self.cleared_to;
        let told_to = self.last_number.max(changed.cleared_to);
        let missed = changed.last_number - told_to - store.count_after(told_to);
        self.told = Some(changed.version);
        self.last_number = changed.last_number;
        self.cleared_to = changed.cleared_to;
        Changes {
            summaries: changed.summaries,
            missed,
            is_cleared,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}
