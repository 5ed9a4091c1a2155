//! A group, and what was published to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate_channels::suite::checker::Published;

/// The last message of each group.
pub(super) const END: &str = "end";

/// What was published to a group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    published: Mutex<Published>,
}

impl Group {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            published: Mutex::default(),
        }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
