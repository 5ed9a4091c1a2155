//! Origins (RFC 6454), as the field `origin` names them.

use callgate::{RequestScope, Scheme};
use http::header::{HOST, ORIGIN};

use super::host::{HostPattern, HostPort, Malformed, is_same_host, single_field};

/// The origin of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// A page without an origin of its own: a file, or a sandboxed frame.
    Null,
    Page {
        scheme: &'a str,
        host: HostPort<'a>,
    },
}

impl<'a> Origin<'a> {
    /// Returns the origin of the page that makes this request; `None` where the request has no such
    /// field, as those of clients that are no browsers.
    pub(super) fn of(request: &'a RequestScope) -> Result<Option<Self>, Malformed> {
        match single_field(&request.headers, ORIGIN)? {
            Some(text) => Self::parse(text).ok_or(Malformed).map(Some),
            None => Ok(None),
        }
    }

    fn parse(text: &'a str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        let (scheme, host) = text.split_once("://")?;
        let host = HostPort::parse(host)?;
        is_scheme(scheme).then_some(Self::Page { scheme, host })
    }

    /// Returns whether the page comes from the host that this request is for.
    ///
    /// A page of `https` may make a request that arrives without TLS: browsers let such a page connect
    /// by TLS only, so a proxy in front of the server has ended the TLS. The other way around, a page of
    /// `http` could come from anybody on the network.
    pub(super) fn is_same_as_of(self, request: &RequestScope) -> bool {
        let Self::Page { scheme, host } = self else {
            return false;
        };
        let Ok(Some(target)) = single_field(&request.headers, HOST) else {
            return false;
        };
        let Some(target) = HostPort::parse(target) else {
            return false;
        };
        let is_safe = match request.scheme {
            Scheme::Https => scheme.eq_ignore_ascii_case("https"),
            Scheme::Http => default_port(scheme).is_some(),
        };
        let port = |host: HostPort<'_>| host.port.or(default_port(scheme));
        is_safe && is_same_host(host.host, target.host) && port(host) == port(target)
    }
}

fn is_scheme(scheme: &str) -> bool {
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme_byte)
}

/// Returns the port of a URL without a port; `None` for other schemes than `http` and `https`.
fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

/// The origins that a middleware accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OriginPattern {
    Null,
    Page {
        scheme: String,
        host: HostPattern,
        port: Option<u16>,
    },
}

impl OriginPattern {
    /// Parses `https://example.com`, `https://*.example.com`, `http://localhost:3000` or `null`.
    ///
    /// # Panics
    ///
    /// When the text is nothing of this kind.
    pub(super) fn new(pattern: &str) -> Self {
        Self::parse(pattern).unwrap_or_else(|| {
            panic!(
                "`{pattern}` is no origin: an origin is a scheme and a host, such as \
                 `https://example.com`, without a path and a slash at its end"
            )
        })
    }

    fn parse(pattern: &str) -> Option<Self> {
        if pattern == "null" {
            return Some(Self::Null);
        }
        let (scheme, host) = pattern.split_once("://")?;
        // The port of a pattern with a wildcard is parsed as that of the host below the wildcard.
        let wildcard = if host.starts_with("*.") { "*." } else { "" };
        let HostPort { host, port } = HostPort::parse(&host[wildcard.len()..])?;
        let host = HostPattern::parse(&format!("{wildcard}{host}"))?;
        is_scheme(scheme).then(|| Self::Page {
            scheme: scheme.to_owned(),
            host,
            port: port.or(default_port(scheme)),
        })
    }

    pub(super) fn matches(&self, origin: Origin<'_>) -> bool {
        match (self, origin) {
            (Self::Null, Origin::Null) => true,
            (
                Self::Page { scheme, host, port },
                Origin::Page {
                    scheme: of_page,
                    host: page,
                },
            ) => {
                scheme.eq_ignore_ascii_case(of_page)
                    && host.matches(page.host)
                    && *port == page.port.or(default_port(of_page))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, OriginPattern};

    #[test]
    fn an_origin_matches_by_scheme_host_and_port() {
        for (pattern, origin, is_match) in [
            ("https://example.com", "https://EXAMPLE.com", true),
            ("https://example.com", "HTTPS://example.com:443", true),
            ("https://example.com:443", "https://example.com", true),
            ("https://example.com", "http://example.com", false),
            ("https://example.com", "https://example.com:8443", false),
            ("https://example.com", "https://example.com.evil", false),
            ("http://localhost:3000", "http://localhost:3000", true),
            ("http://localhost:3000", "http://localhost", false),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            (
                "https://*.example.com:8000",
                "https://a.example.com:8000",
                true,
            ),
            ("http://[::1]:80", "http://[0:0::1]", true),
            ("tauri://localhost", "tauri://localhost", true),
            ("null", "null", true),
            ("null", "https://example.com", false),
            ("https://example.com", "null", false),
        ] {
            let is_found = OriginPattern::new(pattern).matches(Origin::parse(origin).unwrap());
            assert_eq!(is_found, is_match, "{pattern} {origin}");
        }
    }

    #[test]
    fn a_text_that_is_no_origin_is_malformed() {
        for text in [
            "",
            "NULL",
            "example.com",
            "//example.com",
            "https://",
            "https://example.com/",
            "https://a@example.com",
            "https://example.com:99999",
            "https://a https://b",
            "1http://a",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
        assert_eq!(OriginPattern::parse("*"), None);
    }
}
