//! Whether two exchanges are the same, as far as that must be.

use http::header::{DATE, HeaderName};

use crate::driver::{Difference, Extent, Played};

/// Fields that differ from one response to the next although nothing else does.
const VOLATILE: &[HeaderName] = &[DATE];

/// Whether both were answered alike.
pub(crate) fn answers_agree(one: &Played, other: &Played) -> bool {
    difference(one, other).is_none()
}

/// In what the answers differ. When neither is complete, the client has gone away in the middle of
/// both, and they are compared as far as both go.
pub(crate) fn difference(one: &Played, other: &Played) -> Option<Difference> {
    let extent = if one.is_complete || other.is_complete {
        Extent::Whole
    } else {
        Extent::Begun
    };
    one.answer.difference(&other.answer, VOLATILE, extent)
}

/// Whether both came to the same end, whatever was answered.
pub(crate) fn ends_agree(one: &Played, other: &Played) -> bool {
    one.is_complete == other.is_complete
        && one.outcome == other.outcome
        && one.broken.len() == other.broken.len()
}
