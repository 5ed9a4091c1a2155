//! The names of fields.

use http::header::{self, HeaderName};

use super::DecodeError;

/// Parses the name of a field. The names that most requests have are found without a search among
/// all names.
#[inline]
pub(super) fn parse(octets: &[u8]) -> Result<HeaderName, DecodeError> {
    Ok(match octets.len() {
        4 if is(octets, b"host") => header::HOST,
        6 if is(octets, b"accept") => header::ACCEPT,
        6 if is(octets, b"cookie") => header::COOKIE,
        10 if is(octets, b"user-agent") => header::USER_AGENT,
        10 if is(octets, b"connection") => header::CONNECTION,
        12 if is(octets, b"content-type") => header::CONTENT_TYPE,
        14 if is(octets, b"content-length") => header::CONTENT_LENGTH,
        15 if is(octets, b"accept-encoding") => header::ACCEPT_ENCODING,
        15 if is(octets, b"accept-language") => header::ACCEPT_LANGUAGE,
        _ => HeaderName::from_bytes(octets).map_err(|_| DecodeError::FieldName)?,
    })
}

/// Returns whether the octets of a token are this name in any case. `name` is in lower case.
#[inline]
fn is<const LENGTH: usize>(octets: &[u8], name: &[u8; LENGTH]) -> bool {
    let Some(octets) = octets.first_chunk::<LENGTH>() else {
        return false;
    };
    // Bit 0x20 distinguishes the cases of letters. Without this bit, `-` is CR, of which no token
    // has any.
    let mut difference = 0;
    for (octet, wanted) in octets.iter().zip(name) {
        difference |= (octet | 0x20) ^ wanted;
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case() {
        for name in [
            "host",
            "accept",
            "cookie",
            "user-agent",
            "connection",
            "content-type",
            "content-length",
            "accept-encoding",
            "accept-language",
            "transfer-encoding",
            "x-other",
        ] {
            let title: String = name
                .split('-')
                .map(|word| format!("-{}{}", word[..1].to_uppercase(), &word[1..]))
                .collect();
            for octets in [name.to_owned(), name.to_uppercase(), title[1..].to_owned()] {
                assert_eq!(parse(octets.as_bytes()).unwrap(), name, "{octets}");
            }
        }
    }

    #[test]
    fn names_of_the_same_length_differ() {
        for name in [
            "hosu",
            "accepu",
            "user_agent",
            "connections",
            "content-typf",
            "acceptxencoding",
        ] {
            assert_eq!(parse(name.as_bytes()).unwrap(), name);
        }
    }
}
