//! Range requests (RFC 9110, 14): which parts of a file are asked for.

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// A request with more ranges than this gets all of the file: nobody needs so many, and each has
/// its price.
const MOST_RANGES: usize = 16;

/// What is sent of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    Whole,
    /// In order, at least one; none is empty, and there is something between each two.
    Parts(Vec<Range<u64>>),
    /// Nothing of what is asked for is there.
    Unsatisfiable,
}

impl Selection {
    /// What this request wants of a file of so many bytes. A range field that is malformed, or in
    /// another unit, is ignored.
    pub(super) fn of(request: &HeaderMap, length: u64) -> Self {
        let mut fields = request.get_all(RANGE).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Self::Whole;
        };
        match field.to_str().ok().and_then(parse) {
            Some(asked) => Self::among(&asked, length),
            None => Self::Whole,
        }
    }

    fn among(asked: &[Asked], length: u64) -> Self {
        // The last bytes of nothing are there, but there is no way to say so of a part.
        if length == 0 && asked.iter().any(|asked| matches!(asked, Asked::Last(1..))) {
            return Self::Whole;
        }
        let ranges = asked.iter().map(|asked| asked.within(length));
        let mut ranges: Vec<_> = ranges.filter(|range| !range.is_empty()).collect();
        if ranges.is_empty() {
            return Self::Unsatisfiable;
        }
        ranges.sort_by_key(|range| range.start);
        let mut parts: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match parts.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => parts.push(range),
            }
        }
        Self::Parts(parts)
    }
}

/// One range of the field, before the length of the file is known.
#[derive(Clone, Copy, Debug)]
enum Asked {
    From(u64),
    /// Both included.
    Between(u64, u64),
    Last(u64),
}

impl Asked {
    fn within(self, length: u64) -> Range<u64> {
        match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        }
    }
}

fn parse(field: &str) -> Option<Vec<Asked>> {
    let (unit, ranges) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let ranges = ranges.split(',').map(str::trim);
    // A list may have empty elements (RFC 9110, 5.6.1.2).
    let ranges = ranges.filter(|range| !range.is_empty());
    let asked: Vec<_> = ranges
        .take(MOST_RANGES + 1)
        .map(parse_range)
        .collect::<Option<_>>()?;
    (1..=MOST_RANGES).contains(&asked.len()).then_some(asked)
}

fn parse_range(range: &str) -> Option<Asked> {
    match range.split_once('-')? {
        ("", count) => position(count).map(Asked::Last),
        (first, "") => position(first).map(Asked::From),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(Asked::Between(first, last))
        }
    }
}

/// A number of bytes; one that is too large to count is larger than any file.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Asked, Selection, parse};

    fn of(field: &str, length: u64) -> Selection {
        match parse(field) {
            Some(asked) => Selection::among(&asked, length),
            None => Selection::Whole,
        }
    }

    #[test]
    fn ranges_are_cut_to_the_file_put_in_order_and_joined() {
        for (field, parts) in [
            ("bytes=0-0", &[(0, 1)][..]),
            ("bytes=0-9", &[(0, 10)][..]),
            ("Bytes=5-99", &[(5, 10)][..]),
            ("bytes=7-", &[(7, 10)][..]),
            ("bytes=-3", &[(7, 10)][..]),
            ("bytes=-99", &[(0, 10)][..]),
            ("bytes=0-18446744073709551615", &[(0, 10)][..]),
            ("bytes=0-99999999999999999999999", &[(0, 10)][..]),
            ("bytes=8-, 0-1", &[(0, 2), (8, 10)][..]),
            ("bytes=0-1,2-3,,5-6", &[(0, 4), (5, 7)][..]),
            ("bytes=0-9,3-4", &[(0, 10)][..]),
            ("bytes=0-1,20-30", &[(0, 2)][..]),
        ] {
            let parts = parts.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(of(field, 10), Selection::Parts(parts), "{field}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_makes_no_sense() {
        for field in ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=20-30,40-"] {
            assert_eq!(of(field, 10), Selection::Unsatisfiable, "{field}");
        }
        for field in [
            "lines=0-1",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=3-2",
            "bytes=+1-2",
            "bytes=a-b",
            "bytes=1",
            "bytes=0-1,x",
        ] {
            assert_eq!(of(field, 10), Selection::Whole, "{field}");
        }
        assert_eq!(of("bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(of("bytes=-1", 0), Selection::Whole);
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let ranges = |count: u64| {
            let ranges: Vec<_> = (0..count).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert_eq!(
            parse(&ranges(16)).map(|asked: Vec<Asked>| asked.len()),
            Some(16)
        );
        assert_eq!(of(&ranges(17), 1000), Selection::Whole);
    }
}
