//! One call of an application, polled: a panic ends it and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use callgate::{AppError, AppFuture};

use callgate::transcript::Entry;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Returned(Result<(), AppError>),
    Panicked(String),
}

impl Ended {
    pub(crate) fn entry(&self) -> Entry {
        match self {
            Self::Returned(result) => {
                Entry::Returned(result.as_ref().copied().map_err(ToString::to_string))
            }
            Self::Panicked(message) => Entry::Panicked(message.clone()),
        }
    }
}

/// Polls the call once (rule `CORE-15`).
pub(crate) fn poll_caught(call: &mut AppFuture, cx: &mut Context<'_>) -> Poll<Ended> {
    match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ended::Returned),
        Err(panic) => Poll::Ready(Ended::Panicked(panic_message(&*panic))),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
