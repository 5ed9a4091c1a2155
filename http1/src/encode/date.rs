//! The `date` field.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

const BEFORE: &str = "date: ";
const LENGTH: usize = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();

/// The `date` field of responses (RFC 9110, section 6.6.1), written once a second.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use callgate_http1::Date;
///
/// let mut date = Date::at(UNIX_EPOCH);
/// date.update(UNIX_EPOCH + Duration::from_secs(784_111_777));
/// assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone)]
pub struct Date {
    second: u64,
    line: [u8; LENGTH],
}

impl Date {
    /// Creates the date of this time. A time before 1970 is written as the beginning of 1970.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        let mut date = Self {
            second: second(now),
            line: [0; LENGTH],
        };
        date.write();
        date
    }

    /// Sets the date to this time. Within one second, nothing is done.
    #[inline]
    pub fn update(&mut self, now: SystemTime) {
        let second = second(now);
        if second != self.second {
            self.second = second;
            self.write();
        }
    }

    /// Returns the value of the field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.line[BEFORE.len()..LENGTH - 2]).unwrap_or_default()
    }

    /// Returns the field line with its line end.
    #[inline]
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    #[cold]
    fn write(&mut self) {
        // httpdate writes the years 1970 to 9999.
        let second = self.second.min(LAST_SECOND);
        let now = UNIX_EPOCH + std::time::Duration::from_secs(second);
        let mut rest = Rest(&mut self.line);
        write!(rest, "{BEFORE}{}\r\n", httpdate::HttpDate::from(now))
            .expect("a date has the length of the line");
    }
}

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Date").field(&self.as_str()).finish()
    }
}

fn second(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The part of a line that has not been written.
struct Rest<'a>(&'a mut [u8]);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = std::mem::take(&mut self.0);
        let (now, later) = rest.split_at_mut_checked(text.len()).ok_or(fmt::Error)?;
        now.copy_from_slice(text.as_bytes());
        self.0 = later;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_the_imf_fixdate_of_rfc_9110_section_5_6_7() {
        let date = Date::at(UNIX_EPOCH + Duration::from_secs(784_111_777));
        assert_eq!(date.line(), b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    }

    #[test]
    fn a_date_changes_with_the_second() {
        let mut date = Date::at(UNIX_EPOCH);
        date.update(UNIX_EPOCH + Duration::from_millis(999));
        assert_eq!(date.as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
        date.update(UNIX_EPOCH + Duration::from_millis(1000));
        assert_eq!(date.as_str(), "Thu, 01 Jan 1970 00:00:01 GMT");
    }

    #[test]
    fn a_clock_that_is_far_off_still_gives_a_date() {
        let before = Date::at(UNIX_EPOCH - Duration::from_secs(5));
        assert_eq!(before.as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
        let after = Date::at(UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 5));
        assert_eq!(after.as_str(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
