//! Timers that are not set yet.

use std::time::Duration;

use tokio::time::Sleep;

/// As good as for ever: no limit is longer, as the moments that follow one must be told as well.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A timer that has not been set.
pub(crate) fn unset_timer() -> Sleep {
    tokio::time::sleep(LONGEST)
}
