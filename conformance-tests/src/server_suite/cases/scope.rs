//! `overview.md`: what a scope says.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
