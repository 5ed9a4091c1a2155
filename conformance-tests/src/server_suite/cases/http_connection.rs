//! `http.md`: connections, bad requests, pipelining, shutdown.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
