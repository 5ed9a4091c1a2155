//! Conditional requests (RFC 9110, 13).

use std::time::SystemTime;

use http::header::{
    ETAG, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode};

/// The validators of a response: what tells one version of a file from another.
#[derive(Debug)]
pub(super) struct Validators<'a> {
    etag: Option<&'a [u8]>,
    modified: Option<SystemTime>,
}

impl<'a> Validators<'a> {
    /// Returns the validators in the head of a response.
    pub(super) fn of(response: &'a HeaderMap) -> Self {
        Self {
            etag: response.get(ETAG).map(HeaderValue::as_bytes),
            modified: date(response, &LAST_MODIFIED),
        }
    }

    /// Evaluates the conditions of a GET or HEAD request in the order of RFC 9110, 13.2.2. Returns the
    /// status of a response without the file: 304 or 412; `None` when the file is to be sent.
    pub(super) fn instead(&self, request: &HeaderMap) -> Option<StatusCode> {
        let is_failed = match is_listed(request, &IF_MATCH, |tag| self.is_strong_match(tag)) {
            Some(is_listed) => !is_listed,
            None => match (date(request, &IF_UNMODIFIED_SINCE), self.modified) {
                (Some(since), Some(modified)) => modified > since,
                _ => false,
            },
        };
        if is_failed {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
        let is_unchanged = match is_listed(request, &IF_NONE_MATCH, |tag| self.is_weak_match(tag)) {
            Some(is_listed) => is_listed,
            None => match (date(request, &IF_MODIFIED_SINCE), self.modified) {
                (Some(since), Some(modified)) => modified <= since,
                _ => false,
            },
        };
        is_unchanged.then_some(StatusCode::NOT_MODIFIED)
    }

    /// Returns whether a range of this version fits the ranges that the client has (RFC 9110, 13.1.5).
    ///
    /// A date never fits: a file may change twice in a second, so its date is not a strong validator
    /// (8.8.2.2).
    pub(super) fn is_of_range(&self, request: &HeaderMap) -> bool {
        let tag = request.get(IF_RANGE).map(HeaderValue::as_bytes);
        tag.is_none_or(|tag| self.is_strong_match(tag))
    }

    fn is_strong_match(&self, tag: &[u8]) -> bool {
        self.etag == Some(tag) && !tag.starts_with(b"W/")
    }

    fn is_weak_match(&self, tag: &[u8]) -> bool {
        let opaque = |tag: &'a [u8]| tag.strip_prefix(b"W/").unwrap_or(tag);
        self.etag.map(opaque) == Some(tag.strip_prefix(b"W/").unwrap_or(tag))
    }
}

/// Returns the HTTP date in this field, in whole seconds; `None` when there is none.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// Returns whether one of the listed entity tags matches, or the list is `*`; `None` when there is no such
/// field.
fn is_listed(
    request: &HeaderMap,
    name: &HeaderName,
    matches: impl Fn(&[u8]) -> bool,
) -> Option<bool> {
    let mut lists = request.get_all(name).iter().peekable();
    lists.peek()?;
    Some(
        lists.any(|list| {
            list.as_bytes().trim_ascii() == b"*" || tags(list.as_bytes()).any(&matches)
        }),
    )
}

/// Returns the entity tags of a list. A tag may contain commas.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let begin = rest.iter().position(|byte| !b" \t,".contains(byte))?;
        rest = &rest[begin..];
        let opening = rest.iter().position(|byte| *byte == b'"')?;
        let closing = rest[opening + 1..].iter().position(|byte| *byte == b'"')?;
        let (tag, after) = rest.split_at(opening + closing + 2);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn a_list_of_entity_tags_is_taken_apart_at_the_commas_between_them() {
        let list = br#""a", W/"b,c" ,,"" , "d"#;
        let found: Vec<_> = tags(list).collect();
        assert_eq!(found, [&br#""a""#[..], br#"W/"b,c""#, br#""""#]);
        assert_eq!(tags(b"").count(), 0);
        assert_eq!(tags(b"a").count(), 0);
    }
}
