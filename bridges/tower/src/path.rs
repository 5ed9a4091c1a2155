//! Percent-encoded paths.

use http::Uri;
use http::uri::PathAndQuery;

/// Returns the target below `root_path`, which is decoded; `None` when no part of the target is
/// removed.
pub(crate) fn below(uri: &Uri, root_path: &str) -> Option<Uri> {
    let root_path = root_path.trim_end_matches('/');
    if root_path.is_empty() {
        return None;
    }
    let path = strip_decoded(uri.path(), root_path.as_bytes())?;
    let path = match path.as_bytes() {
        [] => "/",
        [b'/', ..] => path,
        _ => return None,
    };
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    target.ok().map(Uri::from)
}

/// Returns the percent-encoded `path` without `prefix`, which is decoded.
fn strip_decoded<'a>(path: &'a str, prefix: &[u8]) -> Option<&'a str> {
    let mut rest = path;
    for &wanted in prefix {
        let (octet, length) = match rest.as_bytes() {
            [b'%', high, low, ..] => (decoded(*high, *low)?, 3),
            [octet, ..] => (*octet, 1),
            [] => return None,
        };
        if octet != wanted {
            return None;
        }
        rest = rest.get(length..)?;
    }
    Some(rest)
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_path_is_removed_however_the_target_encodes_it() {
        for (target, root_path, seen) in [
            ("/api/users?page=1", "/api", Some("/users?page=1")),
            ("/api", "/api", Some("/")),
            ("/api?x", "/api/", Some("/?x")),
            ("/%61pi/a%2Fb", "/api", Some("/a%2Fb")),
            ("/caf%C3%A9/x", "/café", Some("/x")),
            ("/apiary", "/api", None),
            ("/api%2Fx", "/api", None),
            ("/other", "/api", None),
            ("/", "/api", None),
            ("/users", "", None),
            ("*", "/api", None),
        ] {
            let below = below(&target.parse().unwrap(), root_path);
            let seen = seen.map(|seen| seen.parse().unwrap());
            assert_eq!(below, seen, "{target} below {root_path}");
        }
    }
}
