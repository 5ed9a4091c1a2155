//! What the server says in its log beside the failures of calls.

use std::net::SocketAddr;
use std::time::Instant;

use callgate_drive::RequestLine;
use http::StatusCode;

use crate::rejection::Rejection;

/// What the access log says of one exchange.
#[derive(Debug)]
pub(crate) struct AccessLog {
    request: RequestLine,
    client: Option<SocketAddr>,
    start: Instant,
}

impl AccessLog {
    pub(crate) fn new(request: RequestLine, client: Option<SocketAddr>) -> Self {
        Self {
            request,
            client,
            start: Instant::now(),
        }
    }

    /// Writes the line, when the response begins.
    pub(crate) fn write(&self, status: StatusCode) {
        let client = self
            .client
            .map_or_else(|| "-".into(), |client| client.to_string());
        tracing::info!(
            target: "callgate::access",
            "{client} \"{}\" {} {:.1?}",
            self.request,
            status.as_u16(),
            self.start.elapsed(),
        );
    }
}

/// A client sent what the server does not take.
pub(crate) fn rejected(client: SocketAddr, rejection: &Rejection) {
    tracing::info!("{client}: {}: {}", rejection.status(), rejection.reason());
}
