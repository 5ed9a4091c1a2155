//! Whole numbers in paths, queries and header fields.

use std::ops::RangeInclusive;

use callgate_toolkit::errors::HttpError;

use crate::http_errors;

/// Parses the number in `text` and checks that it is within `bounds`. The error, a 422, calls it
/// `name`.
pub(crate) fn parse(name: &str, text: &str, bounds: RangeInclusive<u64>) -> Result<u64, HttpError> {
    // `str::parse` accepts a plus sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.filter(|n| bounds.contains(n)).ok_or_else(|| {
        let (min, max) = bounds.into_inner();
        http_errors::unprocessable(format!(
            "{name} is a whole number from {min} to {max}, not {text:?}"
        ))
    })
}

/// Parses the number of a query, which may be left out: see [`parse`].
pub(crate) fn parse_optional(
    name: &str,
    text: Option<String>,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, HttpError> {
    text.map(|text| parse(name, &text, bounds)).transpose()
}
