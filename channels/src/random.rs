//! Random texts.

use std::hash::{BuildHasher as _, RandomState};

/// Returns 128 random bits as 32 hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let [first, second] = [(); 2].map(|()| RandomState::new().hash_one(()));
    format!("{first:016x}{second:016x}")
}
