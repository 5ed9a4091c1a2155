//! The target of a request (RFC 9112, section 3.2).

use std::ops::Range;

use bytes::Bytes;
use http::{Method, Uri};

use super::{DecodeError, TargetForm, authority};
use crate::TargetGrammar;

/// Checks the target against its grammar and the method. The target is at `place` in `head`.
#[inline]
pub(super) fn parse(
    head: &Bytes,
    place: Range<usize>,
    method: &Method,
    grammar: TargetGrammar,
) -> Result<(Uri, TargetForm), DecodeError> {
    let target = &head[place.clone()];
    let form = if target.starts_with(b"/") && *method != Method::CONNECT {
        if target.len() == 1 {
            return Ok((Uri::default(), TargetForm::Origin));
        }
        check_path_and_query(target, grammar)?;
        TargetForm::Origin
    } else {
        let target = str::from_utf8(target).map_err(|_| DecodeError::Target)?;
        check_other_form(target, method, grammar)?
    };
    match Uri::from_maybe_shared(head.slice(place)) {
        Ok(target) => Ok((target, form)),
        Err(_) => Err(DecodeError::Target),
    }
}

/// Checks a target in another form than the origin form.
#[cold]
fn check_other_form(
    target: &str,
    method: &Method,
    grammar: TargetGrammar,
) -> Result<TargetForm, DecodeError> {
    if *method == Method::CONNECT {
        return match authority::parse(target.as_bytes()) {
            Some(authority) if authority.has_host_and_port() => Ok(TargetForm::Authority),
            Some(_) => Err(DecodeError::TargetAuthority),
            None => Err(DecodeError::TargetForm),
        };
    }
    if target == "*" {
        return match *method {
            Method::OPTIONS => Ok(TargetForm::Asterisk),
            _ => Err(DecodeError::TargetForm),
        };
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(match authority::parse(target.as_bytes()) {
            Some(_) => DecodeError::TargetForm,
            None => DecodeError::Target,
        });
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(DecodeError::TargetScheme);
    }
    let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path);
    match authority::parse(authority.as_bytes()) {
        Some(authority) if authority.has_host() => {}
        _ => return Err(DecodeError::TargetAuthority),
    }
    check_path_and_query(path.as_bytes(), grammar)?;
    Ok(TargetForm::Absolute)
}

/// Checks that the octets are of the grammar of a path and a query (RFC 3986, sections 3.3 and
/// 3.4). The first `?` begins the query, which may have all octets of a path and more `?`.
#[inline]
fn check_path_and_query(octets: &[u8], grammar: TargetGrammar) -> Result<(), DecodeError> {
    let mut rest = octets;
    let mut is_query = false;
    while let Some((octet, behind)) = rest.split_first() {
        rest = match OCTETS[usize::from(*octet)] {
            Octet::Uri => behind,
            Octet::QuestionMark => {
                is_query = true;
                behind
            }
            Octet::Url if grammar == TargetGrammar::Url => behind,
            Octet::UrlQuery if grammar == TargetGrammar::Url && is_query => behind,
            Octet::Percent => match behind {
                [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    behind
                }
                _ if grammar == TargetGrammar::Url && is_query => behind,
                _ => return Err(DecodeError::Target),
            },
            _ => return Err(DecodeError::Target),
        };
    }
    Ok(())
}

/// The class of an octet of a path or a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Octet {
    /// Of the grammar of RFC 3986.
    Uri,
    /// The beginning of the query, and an octet of it.
    QuestionMark,
    /// Sent by browsers, and not of the grammar.
    Url,
    /// Sent by browsers in queries, and not of the grammar.
    UrlQuery,
    /// The beginning of a percent-encoded octet.
    Percent,
    Other,
}

const OCTETS: [Octet; 256] = {
    let mut octets = [Octet::Other; 256];
    let mut octet: u8 = 0;
    while octet < 128 {
        octets[octet as usize] = match octet {
            b'%' => Octet::Percent,
            b'?' => Octet::QuestionMark,
            b':' | b'@' | b'/' => Octet::Uri,
            b'[' | b']' | b'{' | b'}' | b'|' | b'\\' | b'^' => Octet::Url,
            b'`' => Octet::UrlQuery,
            _ if authority::is_unreserved_or_delimiter(octet) => Octet::Uri,
            _ => Octet::Other,
        };
        octet += 1;
    }
    octets
};
