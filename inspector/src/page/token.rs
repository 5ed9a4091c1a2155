//! The secret that opens the page.

use std::fmt;

use callgate::HttpScope;
use http::HeaderValue;
use http::header::AUTHORIZATION;

/// The secret without which an [`InspectorPage`](crate::InspectorPage) shows no exchange.
///
/// ```
/// use callgate_inspector::Token;
///
/// let token = Token::random();
/// println!("http://127.0.0.1:9900/#token={token}");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Creates a token of 128 bits from the random number generator of the operating system.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// Creates a token of this text, which has at least 16 characters: letters and digits of ASCII, `-`, `.`, `_`
    /// and `~`. `None` if it is another text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let is_valid = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
        (text.len() >= 16 && text.bytes().all(is_valid)).then_some(Self(text))
    }

    /// Returns whether the request has this token, as `authorization: Bearer TOKEN` (RFC 6750, section 2.1).
    pub(super) fn is_in(&self, scope: &HttpScope) -> bool {
        let value = scope.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let credentials = value.and_then(|value| value.split_at_checked(7));
        credentials.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && is_equal(given, self.0.as_bytes())
        })
    }
}

/// Compares all octets, so that the time tells nothing about the place of a difference.
fn is_equal(given: &[u8], expected: &[u8]) -> bool {
    let pairs = given.iter().zip(expected);
    given.len() == expected.len() && pairs.fold(0, |bits, (a, b)| bits | (a ^ b)) == 0
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    #[test]
    fn a_token_is_not_short_and_needs_no_escape() {
        assert!(Token::new("0123456789abcdef").is_some());
        assert!(Token::new("0123456789abcde").is_none());
        assert!(Token::new("0123456789abcde#").is_none());
        assert_ne!(Token::random(), Token::random());
    }

    #[test]
    fn a_request_has_the_token_or_not() {
        let token = Token::new("0123456789abcdef").unwrap();
        let is_in = |value: &str| {
            let mut scope = HttpScope::new(Method::GET, Uri::from_static("/"));
            scope.headers.insert(AUTHORIZATION, value.parse().unwrap());
            token.is_in(&scope)
        };
        assert!(is_in("Bearer 0123456789abcdef"));
        assert!(is_in("bearer 0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcde",
            "Basic  0123456789abcdef",
            "Bearer",
        ] {
            assert!(!is_in(wrong), "{wrong}");
        }
        assert!(!token.is_in(&HttpScope::new(Method::GET, Uri::from_static("/"))));
    }
}
