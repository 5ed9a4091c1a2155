//! Headers of the PROXY protocol: each is read to its last octet and no further, however its octets arrive,
//! and a header of the addresses that it names is parsed to the same addresses.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/proxy/mod.rs"]
mod proxy;

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use proxy::{Parsed, Source, parse};

fuzz_target!(|input: &[u8]| {
    let mut read = 0;
    let parsed = loop {
        match parse(&input[..read]) {
            Parsed::Incomplete(missing) => {
                assert!(missing > 0);
                if read + missing > input.len() {
                    return;
                }
                // Parts of what is missing do not change the outcome.
                for part in read..read + missing {
                    assert!(!matches!(parse(&input[..part]), Parsed::Complete(_)));
                }
                read += missing;
            }
            parsed => break parsed,
        }
    };
    assert!(read <= 16 + 4096);
    if let Parsed::Complete(Source::Client { client, server }) = parsed {
        let written = write_v1(client, server);
        assert_eq!(parse(written.as_bytes()), parsed, "{written}");
        assert_eq!(parse(&write_v2(client, server)), parsed);
    }
});

fn write_v1(client: SocketAddr, server: SocketAddr) -> String {
    let (family, client_ip, server_ip) = match (client, server) {
        (SocketAddr::V4(client), SocketAddr::V4(server)) => {
            ("TCP4", client.ip().to_string(), server.ip().to_string())
        }
        _ => ("TCP6", ipv6(client).to_string(), ipv6(server).to_string()),
    };
    let (client_port, server_port) = (client.port(), server.port());
    format!("PROXY {family} {client_ip} {server_ip} {client_port} {server_port}\r\n")
}

fn write_v2(client: SocketAddr, server: SocketAddr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    header.extend_from_slice(&ipv6(client).octets());
    header.extend_from_slice(&ipv6(server).octets());
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&server.port().to_be_bytes());
    header
}

fn ipv6(address: SocketAddr) -> std::net::Ipv6Addr {
    match address {
        SocketAddr::V4(address) => address.ip().to_ipv6_mapped(),
        SocketAddr::V6(address) => *address.ip(),
    }
}
