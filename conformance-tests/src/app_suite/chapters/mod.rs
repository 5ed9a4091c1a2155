//! The cases of the application suite: a file for each chapter of the documents.

mod core;
mod feature;
mod http;
mod lifespan;
mod scope;
mod websocket;

use super::case::Case;

pub use scope::scope_probe;

/// Returns every case, in the order of the documents.
pub(crate) fn all_cases() -> impl Iterator<Item = &'static Case> {
    [
        core::CASES,
        scope::CASES,
        http::CASES,
        websocket::CASES,
        lifespan::CASES,
        feature::CASES,
    ]
    .into_iter()
    .flatten()
}
