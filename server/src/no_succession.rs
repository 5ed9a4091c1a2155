//! A server without a command line, or without Unix, is not replaced by another process.

use std::sync::Arc;

use crate::listener::Listener;
use crate::retirement::Retirement;

/// What a server would share with its predecessor and its successor. There is no value of this type.
#[derive(Debug)]
pub(crate) enum Succession {}

impl Succession {
    pub(crate) fn retirement(&self) -> Arc<Retirement> {
        match *self {}
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn upgrades(&self) -> [(&'static str, u64); 2] {
        match *self {}
    }

    pub(crate) fn has_predecessor(&self) -> bool {
        match *self {}
    }

    pub(crate) fn take(&self, _origin: &str) -> Vec<Listener> {
        match *self {}
    }

    pub(crate) fn close(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_handed_over(&self) -> bool {
        match *self {}
    }
}
