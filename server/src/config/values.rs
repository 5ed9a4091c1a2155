//! The kinds of values that the settings of several groups have.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{One, Parsed, Shape};

/// `true` or `false`.
pub(super) const SWITCH: One<bool> = One {
    name: "BOOL",
    shape: Shape::Switch,
    parse: switch,
    show: bool::to_string,
};

/// A time; zero is allowed.
pub(super) const SECONDS: One<Duration> = One {
    name: "SECONDS",
    shape: Shape::Number,
    parse: seconds,
    show: |time| show_seconds(*time),
};

/// A time above zero.
pub(super) const SECONDS_ABOVE_0: One<Duration> = One {
    name: "SECONDS",
    shape: Shape::Number,
    parse: seconds_above_0,
    show: |time| show_seconds(*time),
};

/// A time, or `none`; zero is a time.
pub(super) const SECONDS_OR_NONE: One<Option<Duration>> = One {
    name: "SECONDS",
    shape: Shape::Number,
    parse: seconds_or_none,
    show: show_seconds_or_none,
};

/// A time above zero, or `none`. Zero is the same as `none`.
pub(super) const SECONDS_OR_NEVER: One<Option<Duration>> = One {
    name: "SECONDS",
    shape: Shape::Number,
    parse: seconds_or_never,
    show: show_seconds_or_none,
};

/// Returns the kind of a path, or of `none`.
pub(super) const fn path(name: &'static str) -> One<Option<PathBuf>> {
    One {
        name,
        shape: Shape::Text,
        parse: |text| match text {
            "" => Err("give a path, or none"),
            "none" => Ok(None),
            _ => Ok(Some(text.into())),
        },
        show: |path| {
            let path = path.as_ref();
            path.map_or_else(|| "none".into(), |path| path.display().to_string())
        },
    }
}

fn switch(text: &str) -> Parsed<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("give true, false, 1 or 0"),
    }
}

fn seconds(text: &str) -> Parsed<Duration> {
    (text.parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        .ok_or("give a number of seconds, such as 5 or 0.5")
}

fn seconds_above_0(text: &str) -> Parsed<Duration> {
    (seconds(text).ok())
        .filter(|time| !time.is_zero())
        .ok_or("give a number of seconds above 0, such as 5 or 0.5")
}

fn seconds_or_none(text: &str) -> Parsed<Option<Duration>> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    seconds(text)
        .map(Some)
        .map_err(|_| "give a number of seconds, such as 5 or 0.5, or none")
}

fn seconds_or_never(text: &str) -> Parsed<Option<Duration>> {
    seconds_or_none(text).map(|time| time.filter(|time| !time.is_zero()))
}

fn show_seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => time.as_secs().to_string(),
        nanos => {
            let text = format!("{}.{nanos:09}", time.as_secs());
            text.trim_end_matches('0').to_owned()
        }
    }
}

fn show_seconds_or_none(time: &Option<Duration>) -> String {
    time.map_or_else(|| "none".into(), show_seconds)
}

/// Reads a size: a number of bytes, or of KiB, MiB or GiB with this unit behind it.
pub(super) fn size(text: &str) -> Option<usize> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = |(unit, bits): (&str, u32)| Some((text.strip_suffix(unit)?.trim_end(), bits));
    let (number, bits) = units.into_iter().find_map(unit).unwrap_or((text, 0));
    let number: usize = number.parse().ok()?;
    number.checked_mul(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind as _;
    use super::*;

    #[test]
    fn a_time_is_shown_as_it_is_read() {
        for text in ["0", "5", "0.5", "0.001", "86400", "1.000000001"] {
            let time = seconds(text).unwrap();
            assert_eq!(SECONDS.show(&time), [text]);
        }
        assert_eq!(seconds("1e300"), Ok(Duration::MAX));
        for text in ["", "-1", "NaN", "inf", "5s"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn zero_is_none_only_where_it_says_never() {
        assert_eq!(seconds_or_none("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(seconds_or_never("0.0"), Ok(None));
        assert_eq!(seconds_or_never("None"), Ok(None));
    }

    #[test]
    fn switches_are_true_or_false() {
        for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false)] {
            assert_eq!(switch(text), Ok(value));
        }
        assert!(switch("yes").is_err());
        assert!(switch("").is_err());
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        for (text, value) in [
            ("0", Some(0)),
            ("65536", Some(65536)),
            ("64KiB", Some(65536)),
            ("16 MiB", Some(16 << 20)),
            ("1GiB", Some(1 << 30)),
            ("64KB", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(size(text), value, "{text:?}");
        }
    }
}
