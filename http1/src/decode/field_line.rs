//! The syntax of field lines.

use super::DecodeError;

/// Checks the syntax of one field line with its line end.
#[cold]
pub(super) fn check_field_line(line: &[u8], allow_bare_lf: bool) -> Result<(), DecodeError> {
    let content = line_without_end(line, allow_bare_lf)?;
    let mut fields = [httparse::EMPTY_HEADER];
    // The section goes on behind the line.
    if let Ok(httparse::Status::Partial) = httparse::parse_headers(line, &mut fields) {
        return Ok(());
    }
    Err(match memchr::memchr(b':', content) {
        _ if content.contains(&b'\r') => DecodeError::BareCr,
        _ if content.starts_with(b" ") || content.starts_with(b"\t") => DecodeError::FoldedLine,
        Some(colon) if is_name_with_blanks(&content[..colon]) => DecodeError::BlankBeforeColon,
        Some(colon) if is_token(&content[..colon]) => DecodeError::FieldValue,
        _ => DecodeError::FieldName,
    })
}

/// Returns the line without its line end.
pub(super) fn line_without_end(line: &[u8], allow_bare_lf: bool) -> Result<&[u8], DecodeError> {
    match line.strip_suffix(b"\r\n") {
        Some(content) => Ok(content),
        None if allow_bare_lf => Ok(line.strip_suffix(b"\n").unwrap_or(line)),
        None => Err(DecodeError::BareLf),
    }
}

fn is_name_with_blanks(octets: &[u8]) -> bool {
    let name = octets.trim_ascii_end();
    name.len() < octets.len() && is_token(name)
}

/// Returns whether the octets are a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().copied().all(is_token_octet)
}

/// Returns whether a token may have the octet (RFC 9110, section 5.6.2).
pub(super) const fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
