//! Standard output.

use std::io::Write as _;

/// Writes text to standard output.
pub(super) fn print(text: &str) {
    // A reader that has closed the pipe wants no more text.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
