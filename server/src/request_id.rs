//! Identifiers of requests (`--request-id`), by which the logs of several services can be joined.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::connection::ConnectionInfo;
use crate::random::random_octets;

/// The field that carries the identifier of a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The largest identifier that is taken from a proxy, in octets.
const MAX_LENGTH: usize = 128;

/// Puts the identifier of a request into its fields, in place of an identifier that is not believed, and
/// returns it.
pub(crate) fn assign(headers: &mut HeaderMap, connection: &ConnectionInfo) -> HeaderValue {
    let received = connection.is_trusted_proxy.then(|| received(headers));
    let id = received.flatten().unwrap_or_else(random);
    headers.insert(X_REQUEST_ID, id.clone());
    id
}

/// Returns the identifier that a proxy has sent: one field of letters, digits and `-._~+/=:@`.
fn received(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let (value, further) = (values.next()?, values.next());
    let is_sane = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~+/=:@".contains(octet);
    let is_taken = further.is_none()
        && (1..=MAX_LENGTH).contains(&value.len())
        && value.as_bytes().iter().all(is_sane);
    // A copy, so that the record of the exchange does not keep the read buffer in memory.
    is_taken
        .then(|| HeaderValue::from_bytes(value.as_bytes()).ok())
        .flatten()
}

/// Returns an identifier of 128 random bits of the system: processes that have forked have others.
fn random() -> HeaderValue {
    let random = u128::from_ne_bytes(random_octets());
    HeaderValue::try_from(format!("{random:032x}")).expect("hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_one_sane_identifier_is_taken() {
        let fields = |values: &[&str]| {
            let values = values.iter().map(|value| value.parse().unwrap());
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, value);
            }
            received(&headers)
        };
        assert_eq!(fields(&["a-1:b@c/="]).unwrap(), "a-1:b@c/=");
        let longest = "x".repeat(MAX_LENGTH);
        assert_eq!(fields(&[&longest]).unwrap(), *longest);
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for values in [
            &[][..],
            &[""],
            &["a b"],
            &["a\"b"],
            &["a", "b"],
            &[&too_long],
        ] {
            assert_eq!(fields(values), None, "{values:?}");
        }
    }

    #[test]
    fn each_identifier_is_another() {
        let ids: HashSet<_> = (0..1000).map(|_| random()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
