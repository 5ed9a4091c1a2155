//! The header fields that describe a file.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED,
};

use super::encoding::Coding;

/// The time from the epoch to the year 10000, which an HTTP date cannot name.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// Adds the fields that describe the file, except those that are set already. `path` is the name of the
/// file before it was compressed.
pub(super) fn describe(
    headers: &mut HeaderMap,
    path: &Path,
    metadata: &Metadata,
    coding: Option<Coding>,
) {
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, content_type(path));
    }
    if let Some(modified) = modified(metadata) {
        let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH);
        let nanoseconds = since_epoch.unwrap_or_default().as_nanos();
        // The compressed file and the plain one are different representations, and have different tags.
        let suffix = coding.map_or("", Coding::suffix);
        let etag = format!("\"{nanoseconds:x}-{:x}{suffix}\"", metadata.len());
        headers.entry(ETAG).or_insert_with(|| ascii(etag));
        if let Some(date) = last_modified(modified, SystemTime::now()) {
            headers.entry(LAST_MODIFIED).or_insert(date);
        }
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// Returns a header value of visible ASCII.
pub(super) fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("visible ASCII")
}

fn content_type(path: &Path) -> HeaderValue {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let essence = guess.essence_str();
    let is_text = essence.starts_with("text/") || essence == "application/javascript";
    ascii(if is_text {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    })
}

/// Returns the time of change; `None` before 1970.
fn modified(metadata: &Metadata) -> Option<SystemTime> {
    let modified = metadata.modified().ok()?;
    (modified >= SystemTime::UNIX_EPOCH).then_some(modified)
}

/// Returns the date of `last-modified`: no later than the present (RFC 9110, 8.8.2.1); `None` where an
/// HTTP date cannot name it.
fn last_modified(modified: SystemTime, now: SystemTime) -> Option<HeaderValue> {
    let date = modified.min(now);
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since_epoch < YEAR_10000).then(|| ascii(httpdate::fmt_http_date(date)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{YEAR_10000, last_modified};

    #[test]
    fn last_modified_is_a_date_that_http_can_name_and_never_in_the_future() {
        const SECOND: Duration = Duration::from_secs(1);
        let epoch = SystemTime::UNIX_EPOCH;
        let last = epoch + YEAR_10000 - SECOND;
        for (modified, now, date) in [
            (epoch, last, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (last, epoch, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (last, last, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (last + SECOND, last, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (last + SECOND, last + SECOND, None),
            (epoch - SECOND, last, None),
            (epoch, epoch - SECOND, None),
        ] {
            let found = last_modified(modified, now);
            assert_eq!(found.as_ref().map(|date| date.to_str().unwrap()), date);
        }
    }
}
