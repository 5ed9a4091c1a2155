//! The type and the length of a request's content, from its head.

use callgate::HttpScope;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};

use super::error::ReadError;

/// Checks the media type and the length of a content before it is read. Returns the value of
/// `content-type`.
pub(crate) fn check<'a>(
    scope: &'a HttpScope,
    limit: usize,
    expected: &'static str,
    is_expected: impl FnOnce(&str) -> bool,
) -> Result<&'a str, ReadError> {
    let found = text(scope, &CONTENT_TYPE).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default();
    if !is_expected(&essence.trim().to_ascii_lowercase()) {
        return Err(ReadError::MediaType {
            expected,
            found: found.to_owned(),
        });
    }
    let length = text(scope, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > limit as u64 => Err(ReadError::TooLarge { limit }),
        _ => Ok(found),
    }
}

fn text<'a>(scope: &'a HttpScope, name: &HeaderName) -> Option<&'a str> {
    scope.headers.get(name)?.to_str().ok()
}
