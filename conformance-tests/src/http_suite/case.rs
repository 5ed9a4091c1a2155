//! The cases of the suite for HTTP.

use std::future::Future;
use std::pin::Pin;

use super::check::HttpCheck;
use super::target::Target;
use crate::basis::Citation;
use crate::server_suite::result::CaseResult;

/// A case: the sentence that it checks, and its steps.
pub(super) struct Case {
    /// Lower case, words joined by `_`.
    pub(super) name: &'static str,
    pub(super) basis: Citation,
    /// The sentence, as in the RFC.
    pub(super) sentence: &'static str,
    /// The steps of the case, in a sentence.
    pub(super) does: &'static str,
    /// The demanded behaviour, in a sentence.
    pub(super) must: &'static str,
    pub(super) steps: Steps,
}

/// The steps of a case, which [`steps!`] makes.
pub(super) type Steps =
    for<'a> fn(&'a Target<'_>) -> Pin<Box<dyn Future<Output = CaseResult> + 'a>>;

impl Case {
    pub(super) const fn check(&self) -> HttpCheck {
        HttpCheck {
            name: self.name,
            basis: self.basis,
            sentence: self.sentence,
            does: self.does,
            must: self.must,
        }
    }
}

/// Makes the [`Steps`] of a case from an async closure over the target.
macro_rules! steps {
    (async |$target:ident| $body:block $(,)?) => {
        |$target| Box::pin(async move $body)
    };
}
pub(super) use steps;
