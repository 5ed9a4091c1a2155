//! Lines in uvicorn's shape: `127.0.0.1:50412 - "GET / HTTP/1.1" 200 OK 1.2ms`.

use std::fmt;
use std::net::SocketAddr;

use callgate_drive::EscapedInQuotes;

use crate::record::{ExchangeRecord, Outcome, RecordedRequest};

/// The line of an exchange, with what uvicorn does not have: a proxy, the duration, and the outcome of an
/// exchange that is not complete.
pub(super) struct Text<'a>(pub(super) &'a ExchangeRecord);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let (client, peer) = (record.client, record.peer);
        write!(f, "{}{} - \"", Client(client), Via { client, peer })?;
        match &record.request {
            Some(request) => write!(f, "{}", RequestLine(request))?,
            None => f.write_str("-")?,
        }
        f.write_str("\" ")?;
        match record.status {
            Some(status) => {
                let reason = status.canonical_reason().unwrap_or_default();
                write!(f, "{} {reason}", status.as_str())?;
            }
            None => f.write_str("-")?,
        }
        write!(f, " {:.1?}", record.duration)?;
        if record.outcome != Outcome::Complete {
            write!(f, " {}", record.outcome.name())?;
        }
        if let Some(reason) = &record.reason {
            write!(f, ": {reason}")?;
        }
        match record.request_id.as_ref().map(|id| id.to_str()) {
            Some(Ok(id)) => write!(f, " request_id={id}"),
            _ => Ok(()),
        }
    }
}

/// The request line: `GET /path?query HTTP/1.1`. A WebSocket has `WEBSOCKET` in place of its method.
struct RequestLine<'a>(&'a RecordedRequest);

impl fmt::Display for RequestLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.0;
        let method = match request.is_websocket {
            true => "WEBSOCKET",
            false => request.method.as_str(),
        };
        let target = EscapedInQuotes(&request.target);
        write!(f, "{method} {target} {:?}", request.version)
    }
}

/// The client of a connection; `-` without an address.
pub(crate) struct Client(pub(crate) Option<SocketAddr>);

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
