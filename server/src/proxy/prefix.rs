//! The path at which a proxy has mounted the application.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A path from `X-Forwarded-Prefix`, which stands in front of the root path of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The path, percent-encoded.
    pub(crate) raw: String,
    pub(crate) decoded: String,
}

impl Prefix {
    /// Parses the value of the field. `/` is the empty prefix.
    ///
    /// A prefix has no empty segment, because URLs that begin with `//` name a host, and no dot segment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let raw = text.strip_suffix('/').unwrap_or(text);
        let is_valid = |it: u8| it.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&it);
        if !text.starts_with('/') || !raw.bytes().all(is_valid) || !has_whole_escapes(raw) {
            return None;
        }
        let decoded = percent_decode_str(raw).decode_utf8().ok()?;
        let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
        let is_mount = raw.is_empty() || decoded.split('/').skip(1).all(is_plain);
        let has_control =
            decoded.contains(|it: char| it.is_control() || matches!(it, '?' | '#' | '\\'));
        (is_mount && !has_control).then(|| Self {
            decoded: Cow::into_owned(decoded),
            raw: raw.to_owned(),
        })
    }
}

fn has_whole_escapes(path: &str) -> bool {
    path.split('%')
        .skip(1)
        .all(|escape| escape.len() >= 2 && escape.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_without_its_last_slash() {
        for (text, decoded) in [
            ("/", ""),
            ("/api", "/api"),
            ("/api/", "/api"),
            ("/a/b%20c", "/a/b c"),
            ("/%C3%A4", "/\u{e4}"),
        ] {
            assert_eq!(Prefix::parse(text).unwrap().decoded, decoded, "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_prefix() {
        for text in [
            "",
            "api",
            "//evil.example",
            "/a//b",
            "/a//",
            "/..",
            "/a/../b",
            "/%2e%2e",
            "/.",
            "/a?b",
            "/a%3Fb",
            "/a#b",
            "/a%0d%0ab",
            "/%",
            "/%f",
            "/%ff",
            "/a b",
            "/a\\b",
            "/%5cevil",
            "/\u{e4}",
            "/%2f/evil",
        ] {
            assert_eq!(Prefix::parse(text), None, "{text:?}");
        }
    }
}
