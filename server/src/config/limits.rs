//! The settings of limits.

use super::kind::{One, Parsed};
use super::setting::settings;
use super::values::size;

settings! {
    /// What a client may ask of the server.
    limits: Limits {
        /// The largest head of a request: its first line and its fields; at least 8192.
        max_request_head => max_request_head: (usize) = "65536" as HEAD_SIZE;
    }
}

const HEAD_SIZE: One<usize> = One::number("BYTES", head_size);

fn head_size(text: &str) -> Parsed<usize> {
    size(text)
        .filter(|bytes| *bytes >= 8192)
        .ok_or("give a number of bytes, 8192 or more, such as 65536 or 64KiB")
}
