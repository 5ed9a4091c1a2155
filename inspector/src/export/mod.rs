//! Exchanges in the forms in which they leave the inspector.

mod curl;
mod test_code;

use crate::exchange::Exchange;

pub use curl::curl;
pub use test_code::test_code;

/// Returns the exchange as a recording: JSON Lines, as a [`Recorder`](callgate_conformance::Recorder) writes them,
/// which `callgate-conformance replay` and [`callgate_conformance::replay()`] read.
///
/// The recording lacks what [was left out or shortened](Exchange::is_whole).
#[must_use]
pub fn recording(exchange: &Exchange) -> String {
    let mut recording = String::new();
    for line in exchange.lines() {
        match serde_json::to_string(line) {
            Ok(line) => {
                recording += &line;
                recording.push('\n');
            }
            // Scopes and events of a later version have no serialised form.
            Err(error) => tracing::debug!("not in the recording: {error}"),
        }
    }
    recording
}
