//! Range requests (RFC 9110, 14): which parts of a file are specs for.

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// The number of ranges that a request may have. A request with more gets the whole file: a client
/// needs few, and each costs the server a part.
const MAX_RANGES: usize = 16;

/// The part of a file that a request selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    Whole,
    /// At least one range, in order. No range is empty, and no two of them touch.
    Ranges(Vec<Range<u64>>),
    /// All requested ranges are beyond the end of the file.
    Unsatisfiable,
}

impl Selection {
    /// Returns what this request selects of a file of `length` bytes. A `range` field that is malformed
    /// or has another unit than bytes is ignored.
    pub(super) fn of(request: &HeaderMap, length: u64) -> Self {
        let mut fields = request.get_all(RANGE).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Self::Whole;
        };
        match field.to_str().ok().and_then(parse) {
            Some(specs) => Self::among(&specs, length),
            None => Self::Whole,
        }
    }

    fn among(specs: &[RangeSpec], length: u64) -> Self {
        // The last bytes of an empty file are satisfiable, but `content-range` cannot express them.
        if length == 0
            && specs
                .iter()
                .any(|spec| matches!(spec, RangeSpec::Last(1..)))
        {
            return Self::Whole;
        }
        let ranges = specs.iter().map(|spec| spec.within(length));
        let mut ranges: Vec<_> = ranges.filter(|range| !range.is_empty()).collect();
        if ranges.is_empty() {
            return Self::Unsatisfiable;
        }
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self::Ranges(joined)
    }
}

/// One range of the field, independent of the length of the file.
#[derive(Clone, Copy, Debug)]
enum RangeSpec {
    From(u64),
    /// The positions of the first and the last byte.
    Between(u64, u64),
    Last(u64),
}

impl RangeSpec {
    fn within(self, length: u64) -> Range<u64> {
        match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        }
    }
}

fn parse(field: &str) -> Option<Vec<RangeSpec>> {
    let (unit, ranges) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let ranges = ranges.split(',').map(str::trim);
    // A list may have empty elements (RFC 9110, 5.6.1.2).
    let ranges = ranges.filter(|range| !range.is_empty());
    let specs: Vec<_> = ranges
        .take(MAX_RANGES + 1)
        .map(parse_range)
        .collect::<Option<_>>()?;
    (1..=MAX_RANGES).contains(&specs.len()).then_some(specs)
}

fn parse_range(range: &str) -> Option<RangeSpec> {
    match range.split_once('-')? {
        ("", count) => position(count).map(RangeSpec::Last),
        (first, "") => position(first).map(RangeSpec::From),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(RangeSpec::Between(first, last))
        }
    }
}

/// Parses a number of bytes. A number beyond `u64` becomes its maximum, which is beyond any file.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{RangeSpec, Selection, parse};

    fn of(field: &str, length: u64) -> Selection {
        match parse(field) {
            Some(specs) => Selection::among(&specs, length),
            None => Selection::Whole,
        }
    }

    #[test]
    fn ranges_are_cut_to_the_file_sorted_and_joined() {
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
            assert_eq!(of(field, 10), Selection::Ranges(parts), "{field}");
        }
    }

    #[test]
    fn a_range_beyond_the_file_is_unsatisfiable_and_a_malformed_field_is_ignored() {
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
            parse(&ranges(16)).map(|specs: Vec<RangeSpec>| specs.len()),
            Some(16)
        );
        assert_eq!(of(&ranges(17), 1000), Selection::Whole);
    }
}
