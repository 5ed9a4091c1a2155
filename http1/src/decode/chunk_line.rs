//! The line in front of a chunk: its size and its extensions (RFC 9112, section 7.1).

use super::DecodeError;
use super::field_line::is_token_octet;

/// How many digits the size of a chunk has at most: as many as 64 bits have.
const MAX_DIGITS: usize = 16;

/// Parses the line without its line end, and returns the size of the chunk.
///
/// `httparse` has a parser for this line, which also accepts a missing size and any octets as an
/// extension.
pub(super) fn parse(line: &[u8]) -> Result<u64, DecodeError> {
    let digits = count(line, |octet| octet.is_ascii_hexdigit());
    let (size, extensions) = line.split_at(digits);
    if digits > MAX_DIGITS {
        return Err(DecodeError::ChunkSizeTooLong);
    }
    let size = str::from_utf8(size).map_err(|_| DecodeError::ChunkSize)?;
    let size = u64::from_str_radix(size, 16).map_err(|_| DecodeError::ChunkSize)?;
    match skip_blanks(extensions) {
        [] if extensions.is_empty() => Ok(size),
        [b';', ..] => check_extensions(extensions).map(|()| size),
        _ => Err(DecodeError::ChunkSize),
    }
}

/// Checks the extensions (RFC 9112, section 7.1.1):
/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`.
fn check_extensions(mut rest: &[u8]) -> Result<(), DecodeError> {
    const ERROR: DecodeError = DecodeError::ChunkExtension;
    while !rest.is_empty() {
        rest = skip_blanks(rest).strip_prefix(b";").ok_or(ERROR)?;
        rest = skip_token(skip_blanks(rest)).ok_or(ERROR)?;
        if let Some(value) = skip_blanks(rest).strip_prefix(b"=") {
            let value = skip_blanks(value);
            rest = match value {
                [b'"', value @ ..] => skip_quoted(value),
                _ => skip_token(value),
            }
            .ok_or(ERROR)?;
        }
    }
    Ok(())
}

fn count(octets: &[u8], is_counted: impl Fn(u8) -> bool) -> usize {
    octets
        .iter()
        .take_while(|octet| is_counted(**octet))
        .count()
}

fn skip_blanks(octets: &[u8]) -> &[u8] {
    &octets[count(octets, |octet| matches!(octet, b' ' | b'\t'))..]
}

fn skip_token(octets: &[u8]) -> Option<&[u8]> {
    let length = count(octets, is_token_octet);
    (length > 0).then(|| &octets[length..])
}

/// Returns the octets behind a quoted string (RFC 9110, section 5.6.4). `octets` begins behind the
/// first quote.
fn skip_quoted(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        octets = match octets {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'\t' | b' '..=b'~' | 0x80.., rest @ ..] => rest,
            [b'\t' | b' '..=b'[' | b']'..=b'~' | 0x80.., rest @ ..] => rest,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_one_to_sixteen_hexadecimal_digits_by_rfc_9112_section_7_1() {
        for (line, size) in [
            ("0", 0),
            ("5", 5),
            ("aF", 0xaf),
            ("0000000000000005", 5),
            ("ffffffffffffffff", u64::MAX),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(size), "{line}");
        }
        for line in [
            "", "x", "0x5", "+5", "-5", " 5", "5 ", "5\t", "5 5", "5,5", "g", "5_0", "\u{ff15}",
            "5=a",
        ] {
            assert_eq!(
                parse(line.as_bytes()),
                Err(DecodeError::ChunkSize),
                "{line}"
            );
        }
        for line in ["00000000000000005", "10000000000000000"] {
            assert_eq!(
                parse(line.as_bytes()),
                Err(DecodeError::ChunkSizeTooLong),
                "{line}"
            );
        }
    }

    #[test]
    fn extensions_follow_their_grammar_by_rfc_9112_section_7_1_1() {
        for extension in [
            ";a",
            ";a=b",
            ";a=\"b\"",
            ";a;b=c;d",
            " ; a = b ; c",
            "\t;\ta\t=\tb",
            ";a=\"\"",
            ";a=\"x y;z=\\\"\\\\\t\u{e9}\"",
        ] {
            let line = format!("5{extension}");
            assert_eq!(parse(line.as_bytes()), Ok(5), "{line}");
        }
        for extension in [
            ";",
            ";;a",
            ";a;",
            "; ",
            ";a ",
            ";a b",
            ";=b",
            ";a=",
            ";a= ",
            ";a=b c",
            ";a=\"",
            ";a=\"b",
            ";a=\"b\"c",
            ";a=\"\\",
            ";a=\"\\\"",
            ";a=\"\0\"",
            ";a=\"\u{7f}\"",
            ";a\0",
            ";\u{e9}",
            ";a=b,c",
        ] {
            let line = format!("5{extension}");
            assert_eq!(
                parse(line.as_bytes()),
                Err(DecodeError::ChunkExtension),
                "{line}"
            );
        }
    }
}
