//! The settings of HTTP/2.

use super::kind::{One, Parsed};
use super::setting::settings;

settings! {
    /// HTTP/2.
    http2: Http2 {
        /// The largest number of streams that a client may have open on a connection at a time.
        http2_max_concurrent_streams => max_concurrent_streams: (u32) = "100" as STREAM_COUNT;
    }
}

const STREAM_COUNT: One<u32> = One::number("NUMBER", stream_count);

fn stream_count(text: &str) -> Parsed<u32> {
    text.parse()
        .ok()
        .filter(|count| *count >= 1)
        .ok_or("give a number from 1 to 4294967295")
}
