//! The checks of an application, a file for each chapter of the documents.

mod core;
mod feature;
mod http;
mod lifespan;
mod scope;
mod websocket;

use super::case::Case;

pub use scope::scope_probe;

/// Every check, in the order of the documents.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
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
