//! Times of the access log, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Returns a time as RFC 3339 writes it: `1994-11-06T08:49:37.123Z`.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let (day, month, year, of_day) = &parts(time);
    let number = MONTHS.iter().position(|name| name == month).unwrap_or(0) + 1;
    let millis = since_epoch(time).subsec_millis();
    format!("{year}-{number:02}-{day}T{of_day}.{millis:03}Z")
}

/// Returns a time as the combined format has it: `06/Nov/1994:08:49:37 +0000`.
pub(super) fn common_log(time: SystemTime) -> String {
    let (day, month, year, of_day) = parts(time);
    format!("{day}/{month}/{year}:{of_day} +0000")
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the day, the name of the month, the year, and the time of the day.
fn parts(time: SystemTime) -> (String, String, String, String) {
    // A clock before 1970 or after 9999 is wrong, and must not end the exchange.
    let latest = Duration::from_secs(253_402_300_799);
    let time = UNIX_EPOCH + since_epoch(time).min(latest);
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let text = HttpDate::from(time).to_string();
    let part = |from: usize, to: usize| text[from..to].to_owned();
    (part(5, 7), part(8, 11), part(12, 16), part(17, 25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_both_forms() {
        let time = UNIX_EPOCH + Duration::from_millis(784_111_777_045);
        assert_eq!(rfc3339(time), "1994-11-06T08:49:37.045Z");
        assert_eq!(common_log(time), "06/Nov/1994:08:49:37 +0000");
    }

    #[test]
    fn a_clock_that_is_wrong_is_no_error() {
        let early = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(early), "1970-01-01T00:00:00.000Z");
        let late = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert!(common_log(late).starts_with("31/Dec/9999:23:59:59"));
    }
}
