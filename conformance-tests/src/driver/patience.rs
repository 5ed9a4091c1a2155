//! How long to wait for an application that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A time limit, spent only where an application hangs. An application that has used it up once is
/// given less afterwards, so that a report on one that always hangs does not take minutes.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    whole: Duration,
    is_spent: Arc<AtomicBool>,
}

impl Patience {
    pub(crate) fn new(whole: Duration) -> Self {
        Self {
            whole,
            is_spent: Arc::default(),
        }
    }

    /// How long to wait now.
    pub(crate) fn now(&self) -> Duration {
        if self.is_spent.load(Ordering::Relaxed) {
            self.whole / 20
        } else {
            self.whole
        }
    }

    /// It was all in vain.
    pub(crate) fn spend(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
    }
}
