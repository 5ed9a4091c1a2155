//! `http.md`: the response.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
