//! Parses the values of flags. The error of each function says what to give instead.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use http::{HeaderName, HeaderValue};
use tracing::level_filters::LevelFilter;

use crate::config::{check_default_header, check_root_path};
use crate::{HttpVersions, LifespanMode, PerMessageDeflate};

/// A limit of time; `None` for no limit.
// An alias, because clap treats a field of type `Option` as an optional flag.
pub type TimeLimit = Option<Duration>;

/// The most threads. A larger number is taken for a mistake.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

pub(super) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MAX_THREADS))
}

pub(super) fn host(text: &str) -> Result<IpAddr, &'static str> {
    // An IPv6 address may have brackets, as in a URL.
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match address {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => address
            .parse()
            .map_err(|_| "give an IP address, such as 127.0.0.1 or ::1"),
    }
}

pub(super) fn port(text: &str) -> Result<u16, &'static str> {
    text.parse()
        .map_err(|_| "give a number from 0 to 65535; 0 picks a free port")
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse()
        .ok()
        .filter(|number| *number <= MAX_THREADS)
        .ok_or("give a number from 1 to 1024")
}

pub(super) fn backlog(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|number| (1..=i32::MAX as u32).contains(number))
        .ok_or("give a number from 1 to 2147483647")
}

pub(super) fn root_path(text: &str) -> Result<String, &'static str> {
    let path = text.trim_end_matches('/');
    check_root_path(path).map(|()| path.to_owned())
}

pub(super) fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    let levels = [
        PossibleValue::new("trace"),
        PossibleValue::new("debug"),
        PossibleValue::new("info"),
        PossibleValue::new("warn").alias("warning"),
        PossibleValue::new("error").alias("critical"),
        PossibleValue::new("off"),
    ];
    PossibleValuesParser::new(levels).map(|level| match level.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "critical" => LevelFilter::ERROR,
        _ => LevelFilter::OFF,
    })
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("give true, false, 1 or 0"),
    }
}

pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = text
        .split_once(':')
        .ok_or("give NAME:VALUE, such as x-frame-options:DENY")?;
    let name: HeaderName = name
        .trim()
        .parse()
        .map_err(|_| "give a header name of letters, digits and -")?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "give a header value of visible ASCII and spaces")?;
    check_default_header(&name)?;
    Ok((name, value))
}

pub(super) fn http_versions() -> impl TypedValueParser<Value = HttpVersions> {
    PossibleValuesParser::new(["auto", "1", "2"]).map(|versions| match versions.as_str() {
        "1" => HttpVersions::Http1,
        "2" => HttpVersions::Http2,
        _ => HttpVersions::Auto,
    })
}

pub(super) fn lifespan() -> impl TypedValueParser<Value = LifespanMode> {
    PossibleValuesParser::new(["auto", "on", "off"]).map(|mode| match mode.as_str() {
        "on" => LifespanMode::On,
        "off" => LifespanMode::Off,
        _ => LifespanMode::Auto,
    })
}

pub(super) fn per_message_deflate() -> impl TypedValueParser<Value = PerMessageDeflate> {
    // The aliases are uvicorn's values.
    PossibleValuesParser::new([
        PossibleValue::new("off").alias("false"),
        PossibleValue::new("on").alias("true"),
        PossibleValue::new("context-takeover"),
    ])
    .map(|mode| match mode.as_str() {
        "off" | "false" => PerMessageDeflate::Off,
        "on" | "true" => PerMessageDeflate::On,
        _ => PerMessageDeflate::ContextTakeover,
    })
}

pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("give a number of seconds, such as 5 or 0.5")
}

pub(super) fn time_limit(text: &str) -> Result<TimeLimit, &'static str> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    seconds(text)
        .map(Some)
        .map_err(|_| "give a number of seconds, such as 5 or 0.5, or none")
}

pub(super) fn some_seconds(text: &str) -> Result<Duration, &'static str> {
    seconds(text)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("give a number of seconds above 0, such as 5 or 0.5")
}

pub(super) fn head_size(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= 8192)
        .ok_or("give a number of bytes, 8192 or more")
}

pub(super) fn field_count(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .ok()
        .filter(|count| (1..=24_576).contains(count))
        .ok_or("give a number from 1 to 24576")
}

pub(super) fn stream_count(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|count| *count >= 1)
        .ok_or("give a number from 1 to 4294967295")
}

pub(super) fn message_size(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= 1)
        .ok_or("give a number of bytes, 1 or more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_root_path_is_told_what_is_wrong() {
        for (path, reason) in [
            ("api", "begins with `/`"),
            ("/a?b", "without `?` and `#`"),
            ("/a\tb", "without control characters"),
        ] {
            let error = root_path(path).unwrap_err();
            assert!(error.contains(reason), "{path:?}: {error}");
        }
    }

    #[test]
    fn variables_of_switches_are_true_or_false() {
        for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false)] {
            assert_eq!(boolean(text), Ok(value));
        }
        assert!(boolean("yes").is_err());
        assert!(boolean("").is_err());
    }
}
