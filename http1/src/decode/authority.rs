//! Hosts with ports: the `host` field and authorities (RFC 3986, section 3.2, without userinfo).

use std::net::Ipv6Addr;

/// A host with an optional port, of which the grammar is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    host: &'a [u8],
    port: Option<&'a [u8]>,
}

impl Authority<'_> {
    /// Returns whether the host is not empty.
    pub(super) fn has_host(self) -> bool {
        !self.host.is_empty()
    }

    /// Returns whether there are both a host and the number of a port (RFC 9110, section 9.3.6).
    pub(super) fn has_host_and_port(self) -> bool {
        let port = self.port.and_then(|port| str::from_utf8(port).ok());
        self.has_host() && port.is_some_and(|port| port.parse::<u16>().is_ok())
    }
}

/// Parses `uri-host [ ":" port ]`. An empty host is right without a port only.
#[inline]
pub(super) fn parse(octets: &[u8]) -> Option<Authority<'_>> {
    let end = match octets.first() {
        Some(b'[') => literal_end(octets)?,
        _ => reg_name_end(octets)?,
    };
    let (host, port) = octets.split_at(end);
    let port = match port {
        [] => None,
        [b':', port @ ..] if !host.is_empty() && port.iter().all(u8::is_ascii_digit) => Some(port),
        _ => return None,
    };
    Some(Authority { host, port })
}

/// Returns where a registered name or an IPv4 address ends (RFC 3986, section 3.2.2).
#[inline]
fn reg_name_end(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &octets[at..];
        let plain = rest
            .iter()
            .take_while(|octet| is_unreserved_or_delimiter(**octet));
        at += plain.count();
        match &octets[at..] {
            [] | [b':', ..] => return Some(at),
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            _ => return None,
        }
    }
}

/// Returns where an IP literal in brackets ends (RFC 3986, section 3.2.2).
#[cold]
fn literal_end(octets: &[u8]) -> Option<usize> {
    let end = octets.iter().position(|octet| *octet == b']')?;
    let address = str::from_utf8(&octets[1..end]).ok()?;
    let is_future = || {
        let (version, address) = address.strip_prefix(['v', 'V'])?.split_once('.')?;
        let is_address_octet = |octet: u8| octet == b':' || is_unreserved_or_delimiter(octet);
        let is_right = !version.is_empty()
            && version.bytes().all(|octet| octet.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(is_address_octet);
        is_right.then_some(())
    };
    (address.parse::<Ipv6Addr>().is_ok() || is_future().is_some()).then_some(end + 1)
}

/// Returns whether the octet is one of `unreserved` or `sub-delims` (RFC 3986, section 2).
#[inline]
pub(super) const fn is_unreserved_or_delimiter(octet: u8) -> bool {
    UNRESERVED_OR_DELIMITERS[octet as usize]
}

const UNRESERVED_OR_DELIMITERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet: u8 = 0;
    while octet < 128 {
        let is_delimiter = matches!(
            octet,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        );
        let is_mark = matches!(octet, b'-' | b'.' | b'_' | b'~');
        table[octet as usize] = octet.is_ascii_alphanumeric() || is_mark || is_delimiter;
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_follow_rfc_3986_section_3_2_2() {
        for right in [
            "",
            "a",
            "a:",
            "a:80",
            "a.example:65536",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:80",
            "[v1.x:y]",
            "a%20b",
            "a_b!$&'()*+,;=~-",
        ] {
            assert!(parse(right.as_bytes()).is_some(), "{right}");
        }
        for wrong in [
            ":",
            ":80",
            "a:b",
            "a:80:80",
            "a:8 0",
            "u@a",
            "u:p@a",
            "a/b",
            "a?b",
            "a#b",
            "a b",
            "a%2",
            "a%zz",
            "a\u{e9}",
            "[::1",
            "::1",
            "[::1]a",
            "[]",
            "[::1%eth0]",
            "[v1.]",
            "[v.x]",
            "[vg.x]",
            "[1.2.3.4]",
            "a[::1]",
            "a\\b",
            "a\"b",
            "<a>",
            "a^b",
        ] {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_authority_of_connect_has_a_port_below_65536_by_rfc_9110_section_9_3_6() {
        let is_right = |text: &str| parse(text.as_bytes()).unwrap().has_host_and_port();
        assert!(is_right("a:65535"));
        assert!(is_right("[::1]:1"));
        for wrong in ["a", "a:", "a:65536", ""] {
            assert!(!is_right(wrong), "{wrong}");
        }
    }
}
