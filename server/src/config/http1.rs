//! The settings of HTTP/1.

use super::kind::{One, Parsed};
use super::setting::settings;

settings! {
    /// HTTP/1.0 and HTTP/1.1.
    http1: Http1 {
        /// The largest number of field lines in the head of a request; 24576 at most.
        max_request_fields => max_request_fields: (usize) = "100" as FIELD_COUNT;
    }
}

const FIELD_COUNT: One<usize> = One::number("NUMBER", field_count);

fn field_count(text: &str) -> Parsed<usize> {
    text.parse()
        .ok()
        .filter(|count| (1..=24_576).contains(count))
        .ok_or("give a number from 1 to 24576")
}
