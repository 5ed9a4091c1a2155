//! The content codings of files that are compressed already (RFC 9110, 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding, with which a file can be compressed ahead of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// All codings. The coding with the smallest files comes first.
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Returns the name in `content-encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Returns what is appended to the name of the file.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    fn is_named(self, name: &str) -> bool {
        // `x-gzip` is the same coding (RFC 9110, 8.4.1.3).
        name.eq_ignore_ascii_case(self.name())
            || self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }

    /// Returns the codings that the client accepts, the preferred one first. A coding with a lower weight
    /// than `identity` is left out.
    pub(super) fn accepted(request: &HeaderMap) -> Vec<Self> {
        let lists = request.get_all(ACCEPT_ENCODING).iter();
        let lists = lists.filter_map(|list| list.to_str().ok());
        let accepted: Vec<_> = lists
            .flat_map(|list| list.split(','))
            .filter_map(weighted)
            .collect();
        let weight = |is_named: &dyn Fn(&str) -> bool| {
            let named = accepted.iter().find(|(name, _)| is_named(name));
            named.map(|(_, weight)| *weight)
        };
        let of_others = weight(&|name| name == "*");
        let of_identity = weight(&|name| name.eq_ignore_ascii_case("identity"));
        let mut codings: Vec<_> = Self::ALL
            .into_iter()
            .filter_map(|coding| {
                let weight = weight(&|name| coding.is_named(name)).or(of_others)?;
                (weight > 0 && weight >= of_identity.unwrap_or(0)).then_some((coding, weight))
            })
            .collect();
        codings.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        codings.into_iter().map(|(coding, _)| coding).collect()
    }
}

/// Parses a coding with its weight in thousandths. Returns `None` for a malformed text.
fn weighted(text: &str) -> Option<(&str, u16)> {
    let Some((name, parameter)) = text.split_once(';') else {
        return Some((text.trim(), 1000));
    };
    let (key, value) = parameter.split_once('=')?;
    let is_weight = key.trim().eq_ignore_ascii_case("q");
    is_weight.then_some((name.trim(), weight(value.trim())?))
}

/// Parses `0.5`, as 500 (RFC 9110, 12.4.2).
fn weight(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = match is_fraction {
        true => format!("{fraction:0<3}").parse().ok()?,
        false => return None,
    };
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{ACCEPT_ENCODING, HeaderValue};

    use super::Coding::{self, Brotli, Gzip, Zstd};

    #[test]
    fn codings_are_chosen_by_their_weights_and_then_by_their_size() {
        for (accept, expected) in [
            ("gzip, br, zstd", &[Brotli, Zstd, Gzip][..]),
            ("gzip;q=1.0, br;q=0.5", &[Gzip, Brotli]),
            ("GZIP", &[Gzip]),
            ("x-gzip", &[Gzip]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("br;q=0, *", &[Zstd, Gzip]),
            ("*;q=0, gzip ; q=0.001", &[Gzip]),
            ("identity, gzip;q=0.5", &[]),
            ("identity;q=0.5, gzip;q=0.5", &[Gzip]),
            ("identity;q=0", &[]),
            ("", &[]),
            ("deflate", &[]),
            ("gzip;q=0.0", &[]),
            ("gzip;q=2", &[]),
            ("gzip;q=1.001", &[]),
            ("gzip;q=0.1234", &[]),
            ("gzip;q=-1", &[]),
            ("gzip;q", &[]),
            ("gzip;level=1", &[]),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value)]);
            assert_eq!(Coding::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), []);
    }
}
