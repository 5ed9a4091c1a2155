//! The syntax of request lines.

use super::DecodeError;
use super::field_line::{is_token_octet, line_without_end};
use crate::Config;

/// The length of a version with its line end.
const VERSION_LINE: usize = "HTTP/1.1\r\n".len();

/// Checks a request line with its line end (RFC 9112, section 3).
#[cold]
pub(super) fn check_request_line(line: &[u8], config: &Config) -> Result<(), DecodeError> {
    let version = check_parts(line, config)?;
    match line_without_end(version, config.allow_bare_lf)? {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major != b'1' {
                return Err(DecodeError::UnsupportedVersion);
            }
        }
        _ => return Err(DecodeError::Version),
    }
    match httparse::Request::new(&mut []).parse(line) {
        Ok(httparse::Status::Partial) => Ok(()),
        _ => Err(DecodeError::Target),
    }
}

/// Checks the beginning of a request line that has no end yet. The cost does not depend on how many
/// octets have come until they are too many for any request line.
pub(super) fn check_begun_request_line(begun: &[u8], config: &Config) -> Result<(), DecodeError> {
    let limits = &config.limits;
    let longest = limits.method.saturating_add(limits.longest_target());
    let longest = longest.saturating_add(VERSION_LINE + 2);
    if begun.len() > longest {
        check_parts(begun, config).map(drop)
    } else {
        match begun.first() {
            Some(first) if *first != b'\r' && !is_token_octet(*first) => Err(DecodeError::Method),
            _ => Ok(()),
        }
    }
}

/// Checks the method, and the lengths of all parts, in their order. Returns the octets behind the
/// second space.
fn check_parts<'a>(line: &'a [u8], config: &Config) -> Result<&'a [u8], DecodeError> {
    let (method, rest) = split_at(line, |octet| !is_token_octet(*octet));
    if method.len() > config.limits.method {
        return Err(DecodeError::MethodTooLong);
    }
    let rest = match rest.strip_prefix(b" ") {
        Some(rest) if !method.is_empty() => rest,
        _ => return Err(unless_bare_cr(rest, DecodeError::Method)),
    };
    let (target, rest) = split_at(rest, |octet| matches!(octet, b' ' | b'\r' | b'\n'));
    if target.len() > config.limits.longest_target() {
        return Err(DecodeError::TargetTooLong);
    }
    let version = match rest.strip_prefix(b" ") {
        Some(version) if !target.is_empty() => version,
        _ => return Err(unless_bare_cr(rest, DecodeError::RequestLine)),
    };
    if version.len() > VERSION_LINE {
        let end = version[..VERSION_LINE]
            .iter()
            .position(|octet| *octet == b'\r');
        let rest = &version[end.unwrap_or_default()..];
        return Err(unless_bare_cr(rest, DecodeError::RequestLine));
    }
    Ok(version)
}

fn split_at(octets: &[u8], is_end: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    octets.split_at(octets.iter().position(is_end).unwrap_or(octets.len()))
}

/// Returns the error, or that there is a bare CR if the octets begin with it.
fn unless_bare_cr(octets: &[u8], error: DecodeError) -> DecodeError {
    if octets.starts_with(b"\r") && !octets.starts_with(b"\r\n") {
        DecodeError::BareCr
    } else {
        error
    }
}

/// Reads a request line of HTTP/1.2 to HTTP/1.9 as one of HTTP/1.1, the highest minor version that
/// a server of HTTP/1.1 conforms to (RFC 9110, section 2.5). `httparse` refuses other versions, so
/// that the digit is replaced in the buffer.
#[inline]
pub(super) fn read_minor_version_as_one(line: &mut [u8]) {
    let content = line.trim_ascii_end().len();
    if let [
        ..,
        b' ',
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor @ b'2'..=b'9',
    ] = &mut line[..content]
    {
        *minor = b'1';
    }
}
