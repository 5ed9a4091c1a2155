//! The check that a text is UTF-8, while the text arrives (RFC 6455, 8.1).

/// The payload of a text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

/// Checks a text piece by piece. A character may be split between two pieces.
#[derive(Debug, Default)]
pub(super) struct Utf8Validator {
    /// The first octets of a character whose other octets have not arrived.
    incomplete: [u8; 4],
    length: usize,
}

impl Utf8Validator {
    /// Checks the next octets of the text. Fails at the first octet that no UTF-8 text can have at
    /// its place.
    pub(super) fn push(&mut self, mut octets: &[u8]) -> Result<(), InvalidUtf8> {
        while self.length > 0
            && let Some((first, rest)) = octets.split_first()
        {
            self.incomplete[self.length] = *first;
            self.length += 1;
            octets = rest;
            match str::from_utf8(&self.incomplete[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        if let Err(error) = str::from_utf8(octets) {
            if error.error_len().is_some() {
                return Err(InvalidUtf8);
            }
            let incomplete = &octets[error.valid_up_to()..];
            self.length = incomplete.len();
            self.incomplete[..self.length].copy_from_slice(incomplete);
        }
        Ok(())
    }

    /// Checks that the text does not end within a character.
    pub(super) fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.length > 0 {
            return Err(InvalidUtf8);
        }
        Ok(())
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    /// Checks a text in pieces. Returns the number of pieces that were taken, and the result.
    fn check(pieces: &[&[u8]]) -> (usize, Result<(), InvalidUtf8>) {
        let mut validator = Utf8Validator::default();
        for (n, piece) in pieces.iter().enumerate() {
            if validator.push(piece).is_err() {
                return (n, Err(InvalidUtf8));
            }
        }
        (pieces.len(), validator.finish())
    }

    fn octet_by_octet(text: &[u8]) -> (usize, Result<(), InvalidUtf8>) {
        check(&text.chunks(1).collect::<Vec<_>>())
    }

    const VALID: &[&str] = &[
        "",
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\0\u{7f}\u{80}\u{7ff}\u{800}\u{fff}\u{ffff}\u{10000}\u{10ffff}",
        "\u{d7ff}\u{e000}\u{fffd}",
    ];

    #[test]
    fn valid_texts_are_valid_at_any_split() {
        for text in VALID {
            let octets = text.as_bytes();
            assert_eq!(octet_by_octet(octets).1, Ok(()), "{text}");
            for at in 0..=octets.len() {
                assert_eq!(check(&[&octets[..at], &octets[at..]]).1, Ok(()), "{text}");
            }
        }
    }

    #[test]
    fn an_invalid_text_fails_at_its_first_wrong_octet() {
        for (text, at) in [
            (&b"\x80"[..], 0),
            (b"\xbf", 0),
            (b"abc\xff", 3),
            (b"\xc0\xaf", 0),
            (b"\xc1\xbf", 0),
            (b"\xc3x", 1),
            (b"\xe0\x80\xaf", 1),
            (b"\xe2\x82x", 2),
            (b"\xed\xa0\x80", 1),
            (b"\xed\xbf\xbf", 1),
            (b"\xf0\x80\x80\xaf", 1),
            (b"\xf0\x9f\x98x", 3),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (
                b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80",
                12,
            ),
        ] {
            assert_eq!(octet_by_octet(text), (at, Err(InvalidUtf8)), "{text:x?}");
            assert_eq!(check(&[text]).1, Err(InvalidUtf8), "{text:x?}");
        }
    }

    #[test]
    fn a_text_that_ends_within_a_character_is_invalid() {
        for text in [&b"\xce"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"abc\xf0"] {
            assert_eq!(check(&[text]), (1, Err(InvalidUtf8)), "{text:x?}");
            let (taken, result) = octet_by_octet(text);
            assert_eq!((taken, result), (text.len(), Err(InvalidUtf8)), "{text:x?}");
        }
    }
}
