//! The parts of a request's head that servers need to make a scope.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Returns whether a list field has this member, in upper or lower case.
#[must_use]
pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    list(headers, name).any(|listed| listed.eq_ignore_ascii_case(token))
}

/// Returns the members of a comma-separated list field (RFC 9110, 5.6.1).
pub fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

/// Removes the fields of the names for which `is_removed` returns true.
pub fn remove_fields(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let removed: Vec<_> = headers
        .keys()
        .filter(|name| is_removed(name))
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
}

/// Returns whether every `%` is followed by two hexadecimal digits (rule `SCOPE-05`).
#[must_use]
pub fn is_percent_encoded(path: &str) -> bool {
    if !path.contains('%') {
        return true;
    }
    let mut escapes = path.split('%');
    escapes.next();
    escapes.all(|escape| {
        let escape = escape.as_bytes();
        escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Returns a decoded path, percent-encoded for the target of a request.
#[must_use]
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_PATH).to_string()
}

/// The characters of ASCII that are percent-encoded in a path (RFC 3986, 3.3).
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Joins the `cookie` fields, of which HTTP/2 allows several, to one field (RFC 9113, 8.2.3; rule
/// `SCOPE-09`).
///
/// # Panics
///
/// Never: valid values that are joined by `; ` are a valid value.
pub fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    headers.insert(
        header::COOKIE,
        joined.expect("header values joined by a valid text"),
    );
}

/// Returns whether there is exactly one `sec-websocket-key`, with 16 bytes in base64.
#[must_use]
pub fn has_websocket_key(headers: &HeaderMap) -> bool {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return false;
    };
    key.as_bytes().strip_suffix(b"==").is_some_and(|digits| {
        digits.len() == 22
            && digits
                .iter()
                .all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
    })
}

/// Returns whether a response with this status ends after its header fields (RFC 9112, 6.3): 204 and
/// 304. A 205 does not: its length is 0.
///
/// The statuses with which an application must not send content are those of
/// [`forbids_content`](callgate::message::forbids_content).
#[must_use]
pub fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_needs_two_hexadecimal_digits() {
        for good in ["/", "/plain", "/%41", "/%c3%A9/x", "/a%20b"] {
            assert!(is_percent_encoded(good), "{good}");
        }
        for bad in ["/%", "/%4", "/%zz", "/%4/1", "/ok%20/%g0", "/%%41"] {
            assert!(!is_percent_encoded(bad), "{bad}");
        }
    }

    #[test]
    fn an_encoded_path_consists_of_characters_of_a_path() {
        assert_eq!(
            encode_path("/caf\u{e9} a/b:c@d~-._!$&'()*+,;="),
            "/caf%C3%A9%20a/b:c@d~-._!$&'()*+,;="
        );
        let encoded = encode_path("/\"#%<>?[\\]^`{|}\u{7f}\n");
        assert_eq!(encoded, "/%22%23%25%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%7F%0A");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        let with = |keys: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static(key));
            }
            has_websocket_key(&headers)
        };
        assert!(with(&["dGhlIHNhbXBsZSBub25jZQ=="]));
        assert!(!with(&[]));
        assert!(!with(&["short=="]));
        assert!(!with(&["dGhlIHNhbXBsZSBub25jZQ"]));
        assert!(!with(&["dGhlIHNhbXBsZSBub25j*Q=="]));
        assert!(!with(&[
            "dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ=="
        ]));
    }

    #[test]
    fn cookie_crumbs_become_one_field() {
        let mut headers = HeaderMap::new();
        for crumb in ["a=1", "b=2", "c=3"] {
            headers.append(header::COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(header::COOKIE).iter().count(), 1);
        assert_eq!(headers[header::COOKIE], "a=1; b=2; c=3");
    }
}
