//! The redirect of requests in cleartext to HTTPS.

use callgate::Scheme;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Uri};

use crate::connection::ConnectionInfo;
use crate::listener::{ListenAddr, Listener, Security};
use crate::proxy::Conclusion;
use crate::rejection::Rejection;

/// The port of `https` without a port (RFC 9110, 4.2.2).
const DEFAULT_PORT: u16 = 443;

/// Redirects requests to HTTPS at this port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpsRedirect {
    port: u16,
}

impl HttpsRedirect {
    /// Creates the redirect to a port; `None` for the default port.
    pub(crate) fn to_port(port: Option<u16>) -> Self {
        Self {
            port: port.unwrap_or(DEFAULT_PORT),
        }
    }

    /// Returns whether a request came in cleartext, all the way from the client.
    pub(crate) fn is_for(connection: &ConnectionInfo, conclusion: Option<&Conclusion>) -> bool {
        let scheme = conclusion.and_then(|conclusion| conclusion.scheme);
        connection.tls.is_none() && scheme != Some(Scheme::Https)
    }

    /// Returns the response to a request. The status 308 keeps the method and the content (RFC 9110,
    /// 15.4.9).
    pub(crate) fn respond(self, parts: &Parts, is_websocket: bool) -> Rejection {
        // Browsers follow no redirect of a WebSocket handshake.
        if is_websocket {
            return Rejection::new(
                StatusCode::FORBIDDEN,
                "this address serves no WebSockets; connect by wss",
            );
        }
        match self.location(parts) {
            Some(location) => {
                Rejection::new(StatusCode::PERMANENT_REDIRECT, "use HTTPS instead of HTTP")
                    .header(header::LOCATION, location)
            }
            None => Rejection::bad_request("there is no `host` for a redirect to HTTPS"),
        }
    }

    /// Returns the target of a request as a URI of `https`. `None` without a host.
    fn location(self, parts: &Parts) -> Option<HeaderValue> {
        let host = parts.headers.get(header::HOST)?.to_str().ok()?;
        let authority: Authority = host.parse().ok()?;
        // A URI of `http` has no user information (RFC 9110, 4.2.4).
        let host = Some(authority.host())
            .filter(|host| !host.is_empty() && !authority.as_str().contains('@'))?;
        let port = match self.port {
            DEFAULT_PORT => String::new(),
            port => format!(":{port}"),
        };
        HeaderValue::try_from(format!(
            "https://{host}{port}{}",
            path_and_query(&parts.uri)
        ))
        .ok()
    }
}

/// Returns the port of the first TCP listener that speaks TLS.
pub(crate) fn first_tls_port(
    addresses: &[ListenAddr],
    listeners: &[(Listener, Security)],
) -> Option<u16> {
    let mut all = addresses.iter().zip(listeners);
    all.find_map(|(address, (_, security))| match (address, security) {
        (ListenAddr::Tcp(address), Security::Tls) => Some(address.port()),
        _ => None,
    })
}

/// Returns the path and the query; nothing for the target `*`, which stands for the server itself.
fn path_and_query(target: &Uri) -> &str {
    match target.path_and_query() {
        Some(target) if target.path() != "*" => target.as_str(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn location(port: u16, host: &str, target: &str) -> Option<String> {
        let request = Request::builder().uri(target).header(header::HOST, host);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let location = HttpsRedirect::to_port(Some(port)).location(&parts);
        location.map(|location| location.to_str().unwrap().into())
    }

    #[test]
    fn the_location_has_the_host_the_port_of_https_and_the_target() {
        for (port, host, target, expected) in [
            (443, "a.test", "/", "https://a.test/"),
            (443, "a.test:80", "/b?c=d%20e", "https://a.test/b?c=d%20e"),
            (8443, "a.test:8080", "/b", "https://a.test:8443/b"),
            (8443, "127.0.0.1", "/", "https://127.0.0.1:8443/"),
            (443, "[::1]:8080", "/", "https://[::1]/"),
            (443, "a.test", "http://a.test/b", "https://a.test/b"),
            (443, "a.test", "//b.test/c", "https://a.test//b.test/c"),
            (443, "a.test", "*", "https://a.test"),
        ] {
            let location = location(port, host, target);
            assert_eq!(location.as_deref(), Some(expected), "{host} {target}");
        }
    }

    #[test]
    fn a_host_that_is_none_leads_nowhere() {
        for host in ["", ":80", "someone@a.test", "a.test/b", "a b"] {
            assert_eq!(location(443, host, "/"), None, "{host}");
        }
    }
}
