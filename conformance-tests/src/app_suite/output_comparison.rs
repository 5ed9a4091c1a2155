//! Compares two exchanges.

use http::header::{DATE, HeaderName};

use crate::driver::{Comparison, Difference, Observation};

/// Fields that may differ between two otherwise equal responses.
const VOLATILE_FIELDS: &[HeaderName] = &[DATE];

/// Returns whether the application sent the same in both exchanges.
pub(crate) fn outputs_match(first: &Observation, second: &Observation) -> bool {
    output_difference(first, second).is_none()
}

/// Returns the first difference between what the application sent in both exchanges. If neither
/// response is complete, the client disconnected in the middle of both, and they are compared up to
/// the end of the shorter one.
pub(crate) fn output_difference(first: &Observation, second: &Observation) -> Option<Difference> {
    let comparison = if first.is_complete || second.is_complete {
        Comparison::Complete
    } else {
        Comparison::UpToShorter
    };
    first
        .output
        .first_difference(&second.output, VOLATILE_FIELDS, comparison)
}

/// Returns whether both calls ended in the same way, whatever the application sent.
pub(crate) fn ends_match(first: &Observation, second: &Observation) -> bool {
    first.is_complete == second.is_complete
        && first.end == second.end
        && first.error == second.error
        && first.violations.len() == second.violations.len()
}
