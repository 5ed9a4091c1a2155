//! Requests that h2 takes and that are malformed (RFC 9113, section 8).

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, Scheme};

/// Checks the head of a request. The error says what is wrong with it.
pub(super) fn check_head(parts: &Parts) -> Result<(), &'static str> {
    if !has_valid_values(&parts.headers) {
        return Err("the value of a field begins or ends with a blank");
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("there is more than one `host` field");
    }
    let authority = parts.uri.authority();
    if authority.is_some_and(has_userinfo) {
        return Err("the authority has user information");
    }
    let Some(host) = host else {
        return Ok(());
    };
    // The common case.
    if authority.is_some_and(|authority| authority.as_str().as_bytes() == host.as_bytes()) {
        return Ok(());
    }
    let host = Authority::try_from(host.as_bytes()).map_err(|_| "the `host` field is malformed")?;
    if has_userinfo(&host) {
        return Err("the `host` field has user information");
    }
    match authority {
        Some(authority) if !is_same(authority, &host, parts.uri.scheme()) => {
            Err("the `host` field differs from `:authority`")
        }
        _ => Ok(()),
    }
}

/// Returns whether no value begins or ends with a blank (RFC 9113, section 8.2.1).
pub(super) fn has_valid_values(fields: &HeaderMap) -> bool {
    let is_blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    fields.values().all(|value| {
        let octets = value.as_bytes();
        !is_blank(octets.first()) && !is_blank(octets.last())
    })
}

fn has_userinfo(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

/// Returns whether two authorities are the same but for case and for the default port (RFC 9113,
/// section 8.3.1).
fn is_same(one: &Authority, other: &Authority, scheme: Option<&Scheme>) -> bool {
    let default_port = match scheme {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    };
    let port = |authority: &Authority| authority.port_u16().or(default_port);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}
