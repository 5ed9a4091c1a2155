//! The header of the PROXY protocol, versions 1 and 2, as HAProxy's `proxy-protocol.txt` defines it.
//!
//! The crate `ppp` is not used: it takes `+80` for a port, and regards some complete headers as
//! incomplete.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

const V1_PREFIX: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The octets of a version 2 header before its addresses.
const V2_FIXED: usize = 16;

/// The shortest header of version 1, `PROXY UNKNOWN\r\n`.
const V1_SHORTEST: usize = 15;

/// The longest header of version 1.
const V1_LONGEST: usize = 107;

/// The most octets of addresses and additional values that a header of version 2 may have.
const V2_LONGEST: usize = 4096;

/// The source of a connection, as its header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The connection is the proxy's own, such as a health check.
    Proxy,
    /// The proxy does not know the addresses, or they are not those of TCP.
    Unknown,
    /// A client of the proxy, with the address that it connected to.
    Client {
        client: SocketAddr,
        server: SocketAddr,
    },
}

/// A header, as far as it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// At least this many further octets belong to the header.
    Incomplete(usize),
    /// The header is complete, in all of the input.
    Complete(Source),
    /// The input is not a header, or a malformed one.
    Malformed,
}

/// Parses the octets of a connection that have been read. A reader that reads no more octets than
/// `Incomplete` asks for never reads behind the header.
pub(crate) fn parse(input: &[u8]) -> Parsed {
    if input.is_empty() {
        Parsed::Incomplete(V1_SHORTEST)
    } else if is_beginning(input, V2_SIGNATURE) {
        parse_v2(input)
    } else if is_beginning(input, V1_PREFIX) {
        parse_v1(input)
    } else {
        Parsed::Malformed
    }
}

/// Returns whether `input` begins with `expected`, as far as it goes.
fn is_beginning(input: &[u8], expected: &[u8]) -> bool {
    input.iter().zip(expected).all(|(octet, it)| octet == it)
}

fn parse_v1(input: &[u8]) -> Parsed {
    let missing = V1_SHORTEST.saturating_sub(input.len());
    if missing > 0 {
        return Parsed::Incomplete(missing);
    }
    let Some(end) = input.iter().position(|octet| *octet == b'\r') else {
        return match input.len() + 2 <= V1_LONGEST && !input.contains(&b'\n') {
            true => Parsed::Incomplete(2),
            false => Parsed::Malformed,
        };
    };
    match input[end + 1..] {
        [] if end + 2 <= V1_LONGEST => Parsed::Incomplete(1),
        [b'\n'] if end + 2 <= V1_LONGEST => str::from_utf8(&input[V1_PREFIX.len()..end])
            .ok()
            .and_then(source_v1)
            .map_or(Parsed::Malformed, Parsed::Complete),
        _ => Parsed::Malformed,
    }
}

/// Returns the source that a line of version 1 tells, without `PROXY `.
fn source_v1(line: &str) -> Option<Source> {
    let (family, addresses) = line.split_once(' ').unwrap_or((line, ""));
    match family {
        // The rest of the line is ignored.
        "UNKNOWN" => Some(Source::Unknown),
        "TCP4" => addresses_v1::<Ipv4Addr>(addresses),
        "TCP6" => addresses_v1::<Ipv6Addr>(addresses),
        _ => None,
    }
}

fn addresses_v1<A: FromStr + Into<IpAddr>>(text: &str) -> Option<Source> {
    let mut parts = text.split(' ');
    let mut address = || parts.next()?.parse::<A>().ok().map(A::into);
    let (client, server) = (address()?, address()?);
    let mut port = || port(parts.next()?);
    let (client_port, server_port) = (port()?, port()?);
    parts.next().is_none().then(|| Source::Client {
        client: SocketAddr::new(client.to_canonical(), client_port),
        server: SocketAddr::new(server.to_canonical(), server_port),
    })
}

/// Parses a port without a sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0"
        || text
            .bytes()
            .next()
            .is_some_and(|it| matches!(it, b'1'..=b'9'));
    text.parse().ok().filter(|_| is_plain)
}

fn parse_v2(input: &[u8]) -> Parsed {
    // The fixed part of version 2 is longer than the shortest header of version 1, which begins
    // with other octets.
    let Some((fixed, rest)) = input.split_at_checked(V2_FIXED) else {
        return Parsed::Incomplete(V2_FIXED - input.len());
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let (family, transport) = (fixed[13] >> 4, fixed[13] & 0xf);
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Parsed::Malformed,
    };
    if length > V2_LONGEST || !is_local && (family > 3 || transport > 2) {
        return Parsed::Malformed;
    }
    if rest.len() < length {
        return Parsed::Incomplete(length - rest.len());
    }
    if rest.len() > length {
        return Parsed::Malformed;
    }
    if is_local {
        return Parsed::Complete(Source::Proxy);
    }
    let source = match (family, transport) {
        (1, 1) => addresses_v2::<4>(rest),
        (2, 1) => addresses_v2::<16>(rest),
        _ => Some(Source::Unknown),
    };
    source.map_or(Parsed::Malformed, Parsed::Complete)
}

/// Returns the addresses, each of `N` octets, with which the rest of a header of version 2 begins.
fn addresses_v2<const N: usize>(rest: &[u8]) -> Option<Source>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = rest.split_first_chunk::<N>()?;
    let (server, rest) = rest.split_first_chunk::<N>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (server_port, _) = rest.split_first_chunk::<2>()?;
    let address = |octets: &[u8; N], port: &[u8; 2]| {
        SocketAddr::new(
            IpAddr::from(*octets).to_canonical(),
            u16::from_be_bytes(*port),
        )
    };
    Some(Source::Client {
        client: address(client, client_port),
        server: address(server, server_port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a header as a connection does: never more octets than are missing.
    fn read(input: &[u8]) -> (Parsed, usize) {
        let mut read = 0;
        loop {
            match parse(&input[..read]) {
                Parsed::Incomplete(missing) if read + missing <= input.len() => read += missing,
                parsed => return (parsed, read),
            }
        }
    }

    fn source(client: &str, server: &str) -> Parsed {
        Parsed::Complete(Source::Client {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
        })
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, family], &length, rest].concat()
    }

    fn valid() -> Vec<(Vec<u8>, Parsed)> {
        let v4 = source("192.0.2.1:1025", "198.51.100.2:443");
        let octets = [192, 0, 2, 1, 198, 51, 100, 2, 4, 1, 1, 187];
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 1]);
        v6[31] = 1;
        v6[32..].copy_from_slice(&[4, 1, 1, 187]);
        let unknown = Parsed::Complete(Source::Unknown);
        let proxy = Parsed::Complete(Source::Proxy);
        vec![
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.2 1025 443\r\n".to_vec(),
                v4,
            ),
            (
                b"PROXY TCP6 2001:: ::1 1025 443\r\n".to_vec(),
                source("[2001::]:1025", "[::1]:443"),
            ),
            (
                b"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n".to_vec(),
                source("192.0.2.1:0", "[::1]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), unknown),
            (b"PROXY UNKNOWN a b c d e f g h\r\n".to_vec(), unknown),
            (
                [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 91], b"\r\n"].concat(),
                unknown,
            ),
            (v2(0x21, 0x11, &octets), v4),
            (
                v2(0x21, 0x11, &[&octets[..], &[0x20, 0, 1, 7]].concat()),
                v4,
            ),
            (v2(0x21, 0x21, &v6), source("[2001::]:1025", "[::1]:443")),
            (v2(0x20, 0x00, b""), proxy),
            (v2(0x20, 0x11, &octets), proxy),
            (v2(0x21, 0x00, b"any"), unknown),
            (v2(0x21, 0x12, &octets), unknown),
            (v2(0x21, 0x31, &[b'x'; 216]), unknown),
            (v2(0x21, 0x00, &[0; V2_LONGEST]), unknown),
        ]
    }

    #[test]
    fn a_header_is_read_to_its_last_octet_and_no_further() {
        for (header, expected) in valid() {
            let input = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let name = header.escape_ascii().to_string();
            assert_eq!(read(&input), (expected, header.len()), "{name}");
        }
    }

    #[test]
    fn every_part_of_a_header_is_incomplete() {
        for (header, expected) in valid() {
            for length in 0..header.len() {
                let parsed = parse(&header[..length]);
                let Parsed::Incomplete(missing) = parsed else {
                    panic!("{}: {parsed:?}", header[..length].escape_ascii());
                };
                assert!(missing > 0 && length + missing <= header.len(), "{length}");
            }
            assert_eq!(parse(&header), expected);
        }
    }

    #[test]
    fn what_is_no_header_is_malformed() {
        let octets = [192, 0, 2, 1, 198, 51, 100, 2, 4, 1, 1];
        let texts: [&[u8]; 17] = [
            b"GET / HTTP/1.1\r\n",
            b"proxy TCP4 192.0.2.1 198.51.100.2 1025 443\r\n",
            b"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
            b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n\r\n",
            b"PROXY TCP4\r\r\n    ",
        ];
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 92], b"\r\n"].concat();
        let binary = [
            long,
            v2(0x11, 0x11, &octets),
            v2(0x22, 0x11, &octets),
            v2(0x21, 0x11, &octets),
            v2(0x21, 0x41, &[0; 36]),
            v2(0x21, 0x13, &[0; 36]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x20, 0x00, &[0; V2_LONGEST + 1]),
            [&V2_SIGNATURE[..11], b"\r....."].concat(),
        ];
        for input in texts.into_iter().chain(binary.iter().map(Vec::as_slice)) {
            assert_eq!(read(input).0, Parsed::Malformed, "{}", input.escape_ascii());
        }
    }
}
