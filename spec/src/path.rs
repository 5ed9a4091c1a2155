//! Decoding of the path of a request target.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes `%XX` escapes, and then UTF-8. Invalid UTF-8 becomes U+FFFD (rule `SCOPE-06`).
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    if raw.contains('%') {
        percent_decode_str(raw).decode_utf8_lossy()
    } else {
        Cow::Borrowed(raw)
    }
}

/// Returns the rest of `path` below `root_path`, which must end at the end of a segment. Returns
/// `path` unchanged if it is not below `root_path`.
pub(crate) fn below<'a>(path: Cow<'a, str>, root_path: &str) -> Cow<'a, str> {
    let root = root_path.trim_end_matches('/');
    let is_below = |path: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match path {
        path if root.is_empty() || !is_below(&path) => path,
        Cow::Borrowed(path) if path.len() == root.len() => Cow::Borrowed("/"),
        Cow::Borrowed(path) => Cow::Borrowed(&path[root.len()..]),
        Cow::Owned(path) if path.len() == root.len() => Cow::Borrowed("/"),
        Cow::Owned(path) => Cow::Owned(path[root.len()..].to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_escapes_is_borrowed() {
        assert!(matches!(
            decode("/plain/path"),
            Cow::Borrowed("/plain/path")
        ));
    }

    #[test]
    fn escapes_are_decoded_and_bad_utf8_is_replaced() {
        assert_eq!(decode("/caf%C3%A9%2Fx"), "/café/x");
        assert_eq!(decode("/%FF"), "/\u{fffd}");
    }

    #[test]
    fn the_path_below_a_root_starts_at_a_segment() {
        for (path, root, below_root) in [
            ("/api/users", "/api", "/users"),
            ("/api", "/api", "/"),
            ("/api/", "/api/", "/"),
            ("/apiary", "/api", "/apiary"),
            ("/other", "/api", "/other"),
            ("/other", "", "/other"),
        ] {
            assert_eq!(
                below(Cow::Borrowed(path), root),
                below_root,
                "{path} below {root}"
            );
            assert_eq!(below(Cow::Owned(path.into()), root), below_root);
        }
    }
}
