//! How long to wait for an application that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A time limit, spent only on an application that does nothing. Once it has been spent in vain, a
/// twentieth of it is given to what is waited for in the same way, so that a report on an
/// application that always hangs does not take minutes.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    whole: Duration,
    is_spent: Arc<[AtomicBool; 3]>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The answer. It may take longer than that, and then the client goes away.
    Answer,
    /// The end of work after the answer. It may take as long as it likes.
    Background,
    /// What must happen. An application is blamed when it does not.
    Duty,
}

impl Patience {
    pub(crate) fn new(whole: Duration) -> Self {
        Self {
            whole,
            is_spent: Arc::default(),
        }
    }

    /// How long to wait now.
    pub(crate) fn with(&self, waiting: Waiting) -> Duration {
        if self.is_spent[waiting as usize].load(Ordering::Relaxed) {
            self.whole / 20
        } else {
            self.whole
        }
    }

    /// It was all in vain.
    pub(crate) fn spend(&self, waiting: Waiting) {
        self.is_spent[waiting as usize].store(true, Ordering::Relaxed);
    }
}
