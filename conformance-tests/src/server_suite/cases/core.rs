//! `overview.md`: the call, receiving, sending, errors, the grace period.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
