//! Whole numbers that clients give.

use std::ops::RangeInclusive;

use callgate_toolkit::errors::HttpError;

use crate::failures;

/// The number in `text`, within these bounds; `name` is what the client knows it by.
pub(crate) fn parse(name: &str, text: &str, bounds: RangeInclusive<u64>) -> Result<u64, HttpError> {
    // `parse` would take a plus sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.filter(|n| bounds.contains(n)).ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        failures::unprocessable(format!(
            "{name} is a whole number from {least} to {most}, not {text:?}"
        ))
    })
}
