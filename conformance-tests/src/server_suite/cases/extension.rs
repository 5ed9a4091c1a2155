//! `extensions.md` and `tls.md`: optional features.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
