//! Paths on the command line.

use http::Uri;

/// Reads a path, with a query or without.
pub(super) fn request_path(text: &str) -> Result<String, &'static str> {
    match text.parse::<Uri>() {
        Ok(_) if text.starts_with('/') => Ok(text.into()),
        _ => Err("a path begins with `/`, and is percent-encoded, such as /caf%C3%A9?size=2"),
    }
}
