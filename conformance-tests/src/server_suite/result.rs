//! The result of a step of a case.

use std::future::Future;
use std::time::Duration;

use crate::{Failure, Verdict};

/// The result of a step. An error ends the case early, with a verdict other than passed.
pub(crate) type CaseResult<T = ()> = Result<T, Verdict>;

impl From<Failure> for Result<(), Verdict> {
    fn from(failure: Failure) -> Self {
        Err(failure.into())
    }
}

/// Ends a case with a failure that states the observation, unless the condition holds.
macro_rules! must {
    ($condition:expr, $($seen:tt)+) => {
        if !$condition {
            return Err($crate::Verdict::failed(format!($($seen)+)));
        }
    };
}
pub(crate) use must;

/// Returns the output of `future`, or a failure if `future` takes longer than `timeout`.
pub(crate) async fn within<T>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> CaseResult<T> {
    tokio::time::timeout(timeout, future)
        .await
        .map_err(|_| Verdict::failed(format!("waited {timeout:?} for {what}, which did not come")))
}
