//! For each rule of a server, one that breaks it and no other.

mod core;
mod core_disconnect;
mod core_sending;
mod extension;
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
mod scope;
mod tls;
mod websocket;
mod websocket_end;
mod websocket_handshake;

use std::time::Duration;

use callgate::rule::Rule;
use callgate_conformance::{ServerOptions, check_server};

use crate::in_process::InProcess;

/// Asserts that the suite reports exactly this rule for this server.
pub(crate) async fn assert_breaks(rule: &'static Rule, mutant: InProcess) {
    let mut options = ServerOptions::default();
    // What a mutant breaks may be waited for in vain.
    options.patience = Duration::from_secs(2);
    let report = check_server(&mutant, &options, |_| {}).await;
    let broken: Vec<_> = report.broken_rules().iter().map(|rule| rule.id).collect();
    assert_eq!(broken, [rule.id], "{report}");
}
