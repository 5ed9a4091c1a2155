//! Members of groups.

use std::fmt;
use std::sync::Arc;

use crate::Payload;

/// A member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The ID.
    pub id: MemberId,
    /// What the member said about itself when it joined, such as a name.
    pub data: Payload,
}

/// The ID of a member: different for each call of [`Group::join`](crate::Group::join), in all processes. An ID
/// is not a secret.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// Creates an ID from its text, which comes from [`as_str`](Self::as_str).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the ID as text, of letters, digits and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Creates the ID of the member with this number in a process.
    pub(crate) fn of_process(process: &str, number: u64) -> Self {
        Self(format!("{process}-{number}").into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
