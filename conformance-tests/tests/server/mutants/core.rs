//! Servers that break the rules checked in `cases/core.rs`.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use callgate::{
    App as _, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender, rule,
};
use http::Version;
use tokio::sync::Notify;

use super::{mutants, with_app};
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, intercepted};

mutants! {
    core_01_an_http_1_0_request_is_two_calls: ONE_CALL ["a_request_of_http10_is_one_call"],
    core_10_a_returned_disconnect_is_reported: DISCONNECT_IS_NO_FAILURE [
        "a_disconnect_is_returned",
        "a_disconnect_is_returned_over_http2",
        "a_disconnect_is_returned_from_a_websocket",
    ],
    core_15_a_panic_takes_other_exchanges_along: PANIC_IS_CONTAINED [
        "the_application_panics",
        "the_application_panics_over_http2",
        "the_application_panics_in_a_websocket",
    ],
    core_16_failures_are_not_reported: FAILURE_IS_REPORTED [
        "the_application_fails",
        "the_failing_application_panics",
        "the_application_returns_a_violation",
        "the_application_fails_in_a_websocket",
    ],
    core_16_failures_are_reported_twice: FAILURE_IS_REPORTED [
        "the_application_fails",
        "the_failing_application_panics",
        "the_application_returns_a_violation",
        "the_application_fails_in_a_websocket",
    ],
    core_16_reports_do_not_name_the_rule: FAILURE_IS_REPORTED [
        "the_application_returns_a_violation",
    ],
    core_16_reports_do_not_name_the_request: FAILURE_IS_REPORTED [
        "the_application_fails",
        "the_failing_application_panics",
        "the_application_returns_a_violation",
        "the_application_fails_in_a_websocket",
    ],
    core_17_declining_is_a_failure: DECLINED_IS_501 [
        "a_request_is_declined",
        "a_request_is_declined_over_http2",
        "a_websocket_is_declined",
    ],
}

fn with_log(log: fn(String) -> String) -> InProcess {
    InProcess {
        log: Some(log),
        ..InProcess::default()
    }
}

fn core_01_an_http_1_0_request_is_two_calls() -> InProcess {
    called_twice(|scope| matches!(scope, Scope::Http(scope) if scope.version == Version::HTTP_10))
}

/// Returns a server that calls the application once more for these scopes.
pub(super) fn called_twice(is_meant: fn(&Scope) -> bool) -> InProcess {
    /// The channel of an exchange whose client has disconnected.
    struct Nobody;
    impl Channel for Nobody {
        fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
            Poll::Ready(ReceiveEvent::HttpDisconnect)
        }

        fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
            Err(SendError::Disconnected)
        }
    }

    with_app(move |probe| {
        let probe = Arc::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                let again = scope.clone();
                let is_meant = is_meant(&scope);
                let mut call = pin!(probe.call(scope, receiver, sender));
                let first = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
                if is_meant {
                    let probe = probe.clone();
                    tokio::spawn(async move {
                        let nobody = Arc::new(Nobody);
                        let (receiver, sender) =
                            (Receiver::new(nobody.clone()), Sender::new(nobody));
                        probe.call(again, receiver, sender).await
                    });
                }
                match first {
                    Poll::Ready(result) => result,
                    Poll::Pending => call.await,
                }
            }
        })
    })
}

fn core_10_a_returned_disconnect_is_reported() -> InProcess {
    #[derive(Default)]
    struct Reported;
    impl Interceptor for Reported {
        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            result.map_err(|error| match error.is_disconnected() {
                true => AppError::failed("the client is gone"),
                false => error,
            })
        }
    }
    with_app(|probe| intercepted(probe, Reported::default))
}

/// Polls a call. Returns its panic as an error.
pub(super) fn poll_caught<T>(
    call: Pin<&mut impl Future<Output = T>>,
    cx: &mut Context<'_>,
) -> Poll<std::thread::Result<T>> {
    match catch_unwind(AssertUnwindSafe(|| call.poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

fn core_15_a_panic_takes_other_exchanges_along() -> InProcess {
    with_app(|probe| {
        let probe = Arc::new(probe);
        let panicked = Arc::new(Notify::new());
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, panicked) = (probe.clone(), panicked.clone());
            async move {
                if let Scope::Lifespan(_) = scope {
                    return probe.call(scope, receiver, sender).await;
                }
                let mut call = pin!(probe.call(scope, receiver, sender));
                let mut another = pin!(panicked.notified());
                another.as_mut().enable();
                tokio::select! {
                    biased;
                    () = another => Err(AppError::failed("another exchange has panicked")),
                    result = std::future::poll_fn(|cx| poll_caught(call.as_mut(), cx)) => {
                        result.unwrap_or_else(|panic| {
                            panicked.notify_waiters();
                            resume_unwind(panic)
                        })
                    }
                }
            }
        })
    })
}

/// Returns whether this line of the log reports a failed request.
fn reports_a_request(line: &str) -> bool {
    line.contains(" ERROR ") && line.contains(" HTTP/")
}

fn core_16_failures_are_not_reported() -> InProcess {
    with_log(|log| {
        let lines = log.lines().filter(|line| !reports_a_request(line));
        lines.map(|line| format!("{line}\n")).collect()
    })
}

fn core_16_failures_are_reported_twice() -> InProcess {
    with_log(|log| {
        let twice = log.lines().map(|line| match reports_a_request(line) {
            true => format!("{line}\n{line}\n"),
            false => format!("{line}\n"),
        });
        twice.collect()
    })
}

fn core_16_reports_do_not_name_the_rule() -> InProcess {
    with_log(|log| log.replace(rule::START_FIRST.id, "a rule"))
}

fn core_16_reports_do_not_name_the_request() -> InProcess {
    with_log(|log| {
        let lines = log.lines().map(|line| match line.split_once(" HTTP/") {
            Some((_, rest)) if reports_a_request(line) => format!(" ERROR {rest}\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    })
}

fn core_17_declining_is_a_failure() -> InProcess {
    /// Whether the call is for lifespan.
    #[derive(Default)]
    struct NoDeclining(AtomicBool);
    impl Interceptor for NoDeclining {
        fn scope(&self, scope: &mut Scope) {
            let is_lifespan = matches!(scope, Scope::Lifespan(_));
            self.0.store(is_lifespan, Ordering::Relaxed);
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            match result {
                Err(AppError::Unsupported) if !self.0.load(Ordering::Relaxed) => {
                    Err(AppError::failed("this kind of scope is not served"))
                }
                result => result,
            }
        }
    }
    with_app(|probe| intercepted(probe, NoDeclining::default))
}
