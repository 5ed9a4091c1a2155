//! A check, and its verdict.

use std::borrow::Cow;
use std::fmt;

use callgate::rule::Rule;
use callgate::transcript::Transcript;

/// A check of one rule. A rule has at least one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The rule that is checked.
    pub rule: &'static Rule,
    /// The name of the check, unique among the checks of its rule: lower case, words joined by `_`.
    pub name: &'static str,
    /// The steps of the check, in a sentence.
    pub does: &'static str,
    /// The demanded behaviour, in a sentence.
    pub must: &'static str,
}

impl Check {
    /// Creates a check of `rule`.
    #[must_use]
    pub const fn new(
        rule: &'static Rule,
        name: &'static str,
        does: &'static str,
        must: &'static str,
    ) -> Self {
        Self {
            rule,
            name,
            does,
            must,
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The rule was kept.
    Passed,
    /// The rule was broken.
    Failed(Box<Failure>),
    /// The check says nothing about this subject, for this reason.
    NotApplicable(Cow<'static, str>),
    /// The standard of this subject does not demand what is checked, for this reason.
    NotDemanded(&'static str),
}

/// A broken rule, with the observation that shows it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Failure {
    /// The observation that contradicts the demanded behaviour.
    pub seen: String,
    /// The messages up to the violation. Empty if there were none.
    pub transcript: Transcript,
}

impl Failure {
    /// Creates a failure without messages.
    pub fn new(seen: impl Into<String>) -> Self {
        Self {
            seen: seen.into(),
            transcript: Transcript::default(),
        }
    }

    /// Sets the messages up to the violation.
    #[must_use]
    pub fn after(mut self, transcript: Transcript) -> Self {
        self.transcript = transcript;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)?;
        if !self.transcript.is_empty() {
            write!(f, "\n{}", self.transcript)?;
        }
        Ok(())
    }
}

impl Verdict {
    /// Creates the verdict that the rule was broken, with the observation that shows it.
    pub fn failed(seen: impl Into<String>) -> Self {
        Failure::new(seen).into()
    }

    /// Returns whether the rule was broken.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
