//! The value of a flag that is a number of seconds.

use std::time::Duration;

/// Reads a number of seconds above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or("give a number of seconds above 0, such as 5 or 0.5")
}
