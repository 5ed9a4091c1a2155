//! The server's log: the access log, rejected requests and failed connections. `callgate-drive`
//! logs the failures of calls.

use std::fmt;
use std::net::SocketAddr;

use callgate_drive::Escaped;

use crate::access_log::Client;
use crate::rejection::Rejection;

/// Logs that a client sent a request that the server rejects.
pub(crate) fn rejected(client: Option<SocketAddr>, rejection: &Rejection) {
    let client = Client(client);
    tracing::info!("{client}: {}: {}", rejection.status(), rejection.reason());
}

/// Logs that a connection failed.
pub(crate) fn failed(client: Option<SocketAddr>, error: &impl fmt::Display) {
    tracing::debug!("{}: {}", Client(client), Escaped(error));
}
