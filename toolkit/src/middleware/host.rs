//! Hosts, as the field `host` and URLs name them.

use std::net::Ipv6Addr;

use http::{HeaderMap, HeaderName};

/// A host and its port, as in `example.com:8000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostPort<'a> {
    /// A name without the dot of the root at its end, an IPv4 address, or an IPv6 address in brackets.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Parses a host with or without a port (RFC 3986, 3.2). Returns `None` for anything else, such as
    /// user information, an escape or a path.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let end = match text.strip_prefix('[') {
            Some(rest) => 1 + rest.find(']')? + 1,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end);
        let host = match host.strip_prefix('[') {
            Some(address) => {
                address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
                host
            }
            None => {
                let name = host.strip_suffix('.').unwrap_or(host);
                is_name(name).then_some(name)?
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }
}

/// Returns whether every label of this name has letters, digits, hyphens and underscores only.
fn is_name(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// Returns whether both name the same host. Names are compared without regard to case, and IPv6
/// addresses by their value.
pub(super) fn is_same_host(one: &str, other: &str) -> bool {
    match (ipv6(one), ipv6(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The hosts that a middleware accepts: one, or all subdomains of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Exact(String),
    SubdomainsOf(String),
}

impl HostPattern {
    /// Parses `example.com`, `*.example.com`, `127.0.0.1`, `[::1]` or `::1`.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        if pattern.parse::<Ipv6Addr>().is_ok() {
            return Some(Self::Exact(format!("[{pattern}]")));
        }
        let (name, is_wildcard) = match pattern.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (pattern, false),
        };
        let HostPort { host, port } = HostPort::parse(name)?;
        let is_host_alone = port.is_none() && !name.ends_with(':');
        let host = is_host_alone.then(|| host.to_owned())?;
        match is_wildcard {
            true if host.starts_with('[') => None,
            true => Some(Self::SubdomainsOf(host)),
            false => Some(Self::Exact(host)),
        }
    }

    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => is_same_host(host, name),
            Self::SubdomainsOf(name) => {
                let Some(end) = host.len().checked_sub(name.len()) else {
                    return false;
                };
                // A host in brackets may end in anything, and has no subdomains.
                end > 1
                    && host.as_bytes()[end - 1] == b'.'
                    && host.as_bytes()[end..].eq_ignore_ascii_case(name.as_bytes())
            }
        }
    }
}

/// Returns the value of a field that occurs at most once.
///
/// # Errors
///
/// When the field occurs more than once, or is not text.
pub(super) fn single_field(
    headers: &HeaderMap,
    name: HeaderName,
) -> Result<Option<&str>, Malformed> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Malformed),
        (Some(_), Some(_)) => Err(Malformed),
    }
}

/// A field that occurs more than once, or is not text.
#[derive(Debug)]
pub(super) struct Malformed;

#[cfg(test)]
mod tests {
    use super::{HostPattern, HostPort, is_same_host};

    #[test]
    fn a_host_is_parsed_with_its_port_and_nothing_else_is_a_host() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("Example.com.:8000", "Example.com", Some(8000)),
            ("a_b-c:", "a_b-c", None),
            ("127.0.0.1:0", "127.0.0.1", Some(0)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8::1]:65535", "[2001:DB8::1]", Some(65535)),
        ] {
            assert_eq!(
                HostPort::parse(text),
                Some(HostPort { host, port }),
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "..",
            ":80",
            "a..b",
            ".a",
            "a..",
            "a:65536",
            "a:+1",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[a]",
            "[]",
            "me@example.com",
            "example.com/",
            "example.com\\",
            "a b",
            "a,b",
            "a%2eb",
            "*",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_are_compared_without_regard_to_case_and_addresses_by_value() {
        assert!(is_same_host("Example.COM", "example.com"));
        assert!(is_same_host("[::1]", "[0:0:0:0:0:0:0:1]"));
        assert!(!is_same_host("[::1]", "::1"));
        assert!(!is_same_host("example.com", "example.org"));
    }

    #[test]
    fn a_wildcard_stands_for_subdomains_and_not_for_the_domain() {
        let pattern = HostPattern::parse("*.example.com").unwrap();
        for (host, is_match) in [
            ("a.example.com", true),
            ("A.b.EXAMPLE.com", true),
            ("example.com", false),
            (".example.com", false),
            ("evilexample.com", false),
            ("a.example.com.evil", false),
            ("com", false),
        ] {
            assert_eq!(pattern.matches(host), is_match, "{host}");
        }
        assert!(HostPattern::parse("::1").unwrap().matches("[0::1]"));
        for pattern in [
            "*", "*.", "a*", "*.*.a", "a:80", "a:", "http://a", "", "*.[::1]", "é.fr",
        ] {
            assert_eq!(HostPattern::parse(pattern), None, "{pattern}");
        }
    }
}
