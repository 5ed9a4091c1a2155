//! Whether two exchanges are the same, as far as that must be.

use http::header::{DATE, HeaderName};

use crate::driver::Played;

/// Fields that differ from one response to the next although nothing else does.
pub(crate) const VOLATILE: &[HeaderName] = &[DATE];

/// Whether both were answered alike.
pub(crate) fn answers_agree(one: &Played, other: &Played) -> bool {
    one.answer.difference(&other.answer, VOLATILE).is_none()
}

/// Whether both came to the same end, whatever was answered.
pub(crate) fn ends_agree(one: &Played, other: &Played) -> bool {
    one.is_complete == other.is_complete
        && one.outcome == other.outcome
        && one.broken.len() == other.broken.len()
}
