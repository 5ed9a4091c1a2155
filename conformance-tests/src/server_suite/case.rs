//! One case of the server suite.

use std::future::Future;
use std::pin::Pin;

use super::bench::Bench;
use crate::{Check, Failure, Verdict};

/// A check, and the steps that it takes.
pub(super) struct Case {
    pub(super) check: Check,
    pub(super) asgi: Asgi,
    pub(super) run: for<'a> fn(&'a mut Bench<'_>) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>,
}

impl Case {
    pub(super) fn is_of_lifespan(&self) -> bool {
        self.check.rule.document() == "lifespan.md"
    }
}

/// Whether a rule holds for servers of ASGI too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asgi {
    /// ASGI, or the RFC that both stand on, says the same.
    Shared,
    /// ASGI says something else or leaves it open: why.
    Differs(&'static str),
}

/// What a step of a case comes to. What ends the case early is a verdict other than passed.
pub(super) type Outcome<T = ()> = Result<T, Verdict>;

impl From<Failure> for Result<(), Verdict> {
    fn from(failure: Failure) -> Self {
        Err(failure.into())
    }
}

/// A case, by the function of its steps.
macro_rules! case {
    ($run:ident: $rule:ident, $asgi:expr, $does:literal, $must:literal $(,)?) => {
        $crate::server_suite::case::Case {
            check: $crate::Check::new(::callgate::rule::$rule, stringify!($run), $does, $must),
            asgi: $asgi,
            run: |bench| Box::pin($run(bench)),
        }
    };
}
pub(super) use case;

/// Ends a case with a failure that says what was seen, unless the condition holds.
macro_rules! must {
    ($condition:expr, $($seen:tt)+) => {
        if !$condition {
            return Err($crate::Verdict::failed(format!($($seen)+)));
        }
    };
}
pub(super) use must;
