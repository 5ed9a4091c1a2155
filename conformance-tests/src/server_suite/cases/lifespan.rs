//! `lifespan.md`: start-up and shutdown.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
