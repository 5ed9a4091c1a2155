//! `websocket.md`: the handshake.

use crate::server_suite::case::Case;

pub(super) const CASES: &[Case] = &[];
