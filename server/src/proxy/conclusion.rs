//! The conclusions from the header fields of a trusted proxy.

use std::net::{Ipv6Addr, SocketAddr};

use callgate::Scheme;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;

use super::forwarded;
use super::node;
use super::prefix::Prefix;
use super::x_forwarded::{entries, of_hop};
use super::{ProxyHeaderFamily, TrustedPeers};

/// The conclusions from the fields of one request. A part of the scope whose conclusion is `None` is not
/// changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conclusion {
    /// The client. `Some(None)` if the proxies hide it.
    pub(crate) client: Option<Option<SocketAddr>>,
    pub(crate) scheme: Option<Scheme>,
    /// The value of `host`.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) prefix: Option<Prefix>,
}

/// Draws the conclusions from the fields of a trusted proxy, or returns which field is malformed.
pub(crate) fn conclude(
    headers: &HeaderMap,
    family: ProxyHeaderFamily,
    trusted: &TrustedPeers,
) -> Result<Conclusion, &'static str> {
    match family {
        ProxyHeaderFamily::XForwarded => from_x_forwarded(headers, trusted),
        ProxyHeaderFamily::Forwarded => from_forwarded(headers, trusted).ok_or("forwarded"),
    }
}

fn from_x_forwarded(
    headers: &HeaderMap,
    trusted: &TrustedPeers,
) -> Result<Conclusion, &'static str> {
    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";
    const HOST: &str = "x-forwarded-host";
    const PORT: &str = "x-forwarded-port";
    const PREFIX: &str = "x-forwarded-prefix";
    let nodes = entries(headers, FOR);
    let mut distance = 0;
    let mut client = None;
    // What stands to the left of the client comes from the client, and is not read.
    for (number, text) in nodes.iter().rev().enumerate() {
        distance = number;
        let address = node::parse_x_forwarded(text).ok_or(FOR)?.address();
        client = Some(address);
        if !is_trusted_proxy(address, trusted) {
            break;
        }
    }
    let entry = |name| {
        let entries = entries(headers, name);
        of_hop(&entries, distance).ok_or(name)
    };
    let scheme = entry(PROTO)?
        .map(|it| scheme(it).ok_or(PROTO))
        .transpose()?;
    let port = entry(PORT)?.map(|it| port(it).ok_or(PORT)).transpose()?;
    let host = entry(HOST)?
        .map(|it| authority(it).ok_or(HOST))
        .transpose()?;
    let prefix = entry(PREFIX)?
        .map(|it| Prefix::parse(it).ok_or(PREFIX))
        .transpose()?;
    let host = match (host, port) {
        (Some(host), None) => HeaderValue::try_from(host.as_str()).ok(),
        (host, Some(port)) => host
            .or_else(|| authority(headers.get(header::HOST)?.to_str().ok()?))
            .and_then(|host| with_port(&host, port, scheme.unwrap_or_default())),
        (None, None) => None,
    };
    Ok(Conclusion {
        client,
        scheme,
        host,
        prefix,
    })
}

fn from_forwarded(headers: &HeaderMap, trusted: &TrustedPeers) -> Option<Conclusion> {
    let mut elements = Vec::new();
    for value in headers.get_all(header::FORWARDED) {
        forwarded::parse(value.to_str().ok()?, &mut elements)?;
    }
    let mut client = None;
    let mut hop = None;
    for element in elements.iter().rev() {
        hop = Some(element);
        // A proxy that does not name its client leaves the chain without a continuation.
        let Some(text) = &element.node else { break };
        let address = node::parse(text)?.address();
        client = Some(address);
        if !is_trusted_proxy(address, trusted) {
            break;
        }
    }
    let (mut proto, mut host) = (None, None);
    if let Some(hop) = hop {
        proto = hop
            .proto
            .as_deref()
            .map(|it| scheme(it).ok_or(()))
            .transpose()
            .ok()?;
        host = hop
            .host
            .as_deref()
            .map(|it| authority(it).ok_or(()))
            .transpose()
            .ok()?;
    }
    Some(Conclusion {
        client,
        scheme: proto,
        host: host.and_then(|host| HeaderValue::try_from(host.as_str()).ok()),
        prefix: None,
    })
}

/// Returns whether a node is one more trusted proxy, and not the client.
fn is_trusted_proxy(address: Option<SocketAddr>, trusted: &TrustedPeers) -> bool {
    address.is_some_and(|address| trusted.contains(address.ip()))
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(Scheme::Https),
        "http" | "ws" => Some(Scheme::Http),
        _ => None,
    }
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.len() <= 5 && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// Parses a host with an optional port, without user information. A host is a name of letters, digits,
/// `-`, `.` and `_`, an IPv4 address, or an IPv6 address in brackets.
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let is_name = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    };
    let is_port = |it: &str| it.strip_prefix(':').and_then(port).is_some();
    let has_port = authority
        .as_str()
        .strip_prefix(host)
        .is_some_and(|it| it.is_empty() || is_port(it));
    (is_host && has_port).then_some(authority)
}

/// Returns `host` with the port, unless the host has a port or the port is that of the scheme.
fn with_port(host: &Authority, port: u16, scheme: Scheme) -> Option<HeaderValue> {
    let default = match scheme {
        Scheme::Https => 443,
        _ => 80,
    };
    let text = match host.port().is_some() || port == default {
        true => host.as_str().to_owned(),
        false => format!("{host}:{port}"),
    };
    HeaderValue::try_from(text).ok()
}

/// Returns whether a field is one of either family, or carries the client in their place.
#[inline]
pub(crate) fn is_proxy_field(name: &HeaderName) -> bool {
    let text = name.as_str();
    name == header::FORWARDED || text.starts_with("x-forwarded-") || text == "x-real-ip"
}

/// Removes the fields of both families, except those of `kept`.
pub(crate) fn remove_proxy_fields(headers: &mut HeaderMap, kept: Option<ProxyHeaderFamily>) {
    let is_removed = |name: &HeaderName| match kept {
        None => is_proxy_field(name),
        Some(ProxyHeaderFamily::XForwarded) => name == header::FORWARDED,
        Some(ProxyHeaderFamily::Forwarded) => is_proxy_field(name) && name != header::FORWARDED,
    };
    callgate_drive::head::remove_fields(headers, is_removed);
}
