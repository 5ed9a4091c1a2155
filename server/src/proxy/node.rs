//! The identifier of a node on the way of a request (RFC 7239, 6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A node, as a proxy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// An address. The port is 0 if the proxy does not tell it.
    Address(SocketAddr),
    /// `unknown`, or an obfuscated identifier such as `_hidden`.
    Hidden,
}

impl Node {
    /// Returns the address; `None` for a node that is hidden.
    pub(super) fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Hidden => None,
        }
    }
}

/// Parses a node of `Forwarded`, in which an IPv6 address has brackets.
pub(super) fn parse(text: &str) -> Option<Node> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return with_port(address.into(), port);
    }
    let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
    if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
        return parse_port(port).map(|_| Node::Hidden);
    }
    let address: Ipv4Addr = name.parse().ok()?;
    with_port(address.into(), port)
}

/// Parses a node of `X-Forwarded-For`, in which an IPv6 address may stand without brackets.
pub(super) fn parse_x_forwarded(text: &str) -> Option<Node> {
    match text.parse::<Ipv6Addr>() {
        Ok(address) => with_port(address.into(), ""),
        Err(_) => parse(text),
    }
}

fn with_port(address: IpAddr, port: &str) -> Option<Node> {
    let address = address.to_canonical();
    parse_port(port).map(|port| Node::Address(SocketAddr::new(address, port)))
}

/// Parses `:80`, `:_hidden` or the empty text. The port is 0 if it is not known.
fn parse_port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    let port = text.strip_prefix(':')?;
    if is_obfuscated(port) {
        return Some(0);
    }
    let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|it| it.is_ascii_digit());
    port.parse().ok().filter(|_| is_number)
}

fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|rest| {
        let is_valid = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
        !rest.is_empty() && rest.bytes().all(is_valid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_a_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:0"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("192.0.2.1:_port", "192.0.2.1:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1:1"),
        ] {
            let expected = Some(Node::Address(expected.parse().unwrap()));
            assert_eq!(parse(text), expected, "{text}");
            assert_eq!(parse_x_forwarded(text), expected, "{text}");
        }
        let bare = Some(Node::Address("[2001:db8::1]:0".parse().unwrap()));
        assert_eq!(parse_x_forwarded("2001:db8::1"), bare);
        assert_eq!(parse("2001:db8::1"), None);
    }

    #[test]
    fn identifiers_may_hide_the_address() {
        for text in [
            "unknown",
            "Unknown",
            "_hidden",
            "_a.b-c_d",
            "unknown:80",
            "_x:_y",
        ] {
            assert_eq!(parse(text), Some(Node::Hidden), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_nodes() {
        for text in [
            "",
            " ",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.02.1",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+80",
            "192.0.2.1:80:80",
            "192.0.2.1 ",
            "[::1",
            "::1]",
            "[::1]80",
            "[192.0.2.1]",
            "[fe80::1%eth0]",
            "_",
            "_a b",
            "hidden",
            "192.0.2.1\t",
            "0x7f.1",
            "2130706433",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
            assert_eq!(parse_x_forwarded(text), None, "{text:?}");
        }
    }
}
