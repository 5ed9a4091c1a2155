//! The cases: one file for each section of the documents, in their order.

mod core;
mod core_disconnect;
mod core_sending;
mod feature;
mod feature_deflate;
mod feature_shutdown;
mod http_backpressure;
mod http_connection;
mod http_disconnect;
mod http_expect;
mod http_failure;
mod http_fields;
mod http_request;
mod http_response;
mod http_shutdown;
mod http_smuggling;
mod lifespan;
mod lifespan_shutdown;
mod scope;
mod scope_connection;
mod scope_fields;
mod steps;
mod tls;
mod tls_behind_proxy;
mod websocket;
mod websocket_end;
mod websocket_errors;
mod websocket_handshake;
mod websocket_upgrade;

use super::case::Case;

/// Returns every case, file by file.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        core::CASES,
        core_sending::CASES,
        core_disconnect::CASES,
        scope::CASES,
        scope_fields::CASES,
        scope_connection::CASES,
        http_request::CASES,
        http_backpressure::CASES,
        http_disconnect::CASES,
        http_expect::CASES,
        http_response::CASES,
        http_fields::CASES,
        http_failure::CASES,
        http_connection::CASES,
        http_smuggling::CASES,
        http_shutdown::CASES,
        websocket_handshake::CASES,
        websocket_upgrade::CASES,
        websocket::CASES,
        websocket_errors::CASES,
        websocket_end::CASES,
        lifespan::CASES,
        lifespan_shutdown::CASES,
        feature::CASES,
        feature_shutdown::CASES,
        feature_deflate::CASES,
        tls::CASES,
        tls_behind_proxy::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
    .flatten()
}
