//! The cases: one file for each subject, in the order of the RFCs.

mod connection;
mod content;
mod head;
mod http2;
mod http2_malformed;
mod semantics;
mod websocket;

use super::case::Case;

/// Returns every case, file by file.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        semantics::CASES,
        head::CASES,
        content::CASES,
        connection::CASES,
        http2::CASES,
        http2_malformed::CASES,
        websocket::CASES,
    ]
    .into_iter()
    .flatten()
}
