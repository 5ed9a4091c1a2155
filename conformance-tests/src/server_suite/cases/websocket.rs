//! `websocket.md`: messages, closing, shutdown.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
