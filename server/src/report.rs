//! The server's log: the access log, rejected requests and failed connections. `callgate-drive`
//! logs the failures of calls.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use callgate_drive::{Escaped, RequestLine};
use http::StatusCode;

use crate::rejection::Rejection;

/// The line of an exchange in the access log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    request: RequestLine,
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    start: Instant,
}

impl AccessLog {
    pub(crate) fn new(
        request: RequestLine,
        client: Option<SocketAddr>,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            request,
            client,
            peer,
            start: Instant::now(),
        }
    }

    /// Writes the line. Called when the response begins.
    pub(crate) fn write(&self, status: StatusCode) {
        tracing::info!(
            target: "callgate::access",
            "{}{} \"{}\" {} {:.1?}",
            Client(self.client),
            Via { client: self.client, peer: self.peer },
            self.request,
            status.as_u16(),
            self.start.elapsed(),
        );
    }
}

/// Logs that a client sent a request that the server rejects.
pub(crate) fn rejected(client: Option<SocketAddr>, rejection: &Rejection) {
    let client = Client(client);
    tracing::info!("{client}: {}: {}", rejection.status(), rejection.reason());
}

/// Logs that a connection failed.
pub(crate) fn failed(client: Option<SocketAddr>, error: &impl fmt::Display) {
    tracing::debug!("{}: {}", Client(client), Escaped(error));
}

/// The client of a connection; `-` without an address.
struct Client(Option<SocketAddr>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // A proxy told no port.
            Some(address) if address.port() == 0 => address.ip().fmt(f),
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// The peer of a connection, if it is not the client.
struct Via {
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client == self.peer {
            true => Ok(()),
            false => write!(f, " via {}", Client(self.peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_behind_a_proxy_is_logged_with_its_peer() {
        let address = |text: &str| Some(text.parse().unwrap());
        let peer = address("127.0.0.1:1025");
        for (client, peer, expected) in [
            (peer, peer, "127.0.0.1:1025"),
            (address("192.0.2.1:0"), peer, "192.0.2.1 via 127.0.0.1:1025"),
            (address("[2001:db8::1]:81"), None, "[2001:db8::1]:81 via -"),
            (None, peer, "- via 127.0.0.1:1025"),
            (None, None, "-"),
        ] {
            let logged = format!("{}{}", Client(client), Via { client, peer });
            assert_eq!(logged, expected);
        }
    }
}
