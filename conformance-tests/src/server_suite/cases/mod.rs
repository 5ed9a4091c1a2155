//! The cases: one file a section of the documents, in their order.

mod core;
mod core_disconnect;
mod core_sending;
mod feature;
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
mod websocket;
mod websocket_end;
mod websocket_handshake;

use callgate::rule;

use super::case::Case;

/// Every case, in the order of the rules.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let chapters = [
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
        websocket_handshake::SINGLE_CASES,
        websocket::CASES,
        websocket_end::CASES,
        lifespan::CASES,
        lifespan_shutdown::CASES,
        feature::CASES,
        feature::SINGLE_CASES,
        tls::CASES,
    ];
    rule::all().flat_map(move |rule| {
        chapters
            .into_iter()
            .flatten()
            .filter(move |case| case.check.rule == rule)
    })
}
