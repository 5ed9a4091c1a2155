//! Applications that take all the memory that there is: the suite goes on and ends.
//!
//! Memory is that of the process. So they have one for themselves, and take turns.
#![cfg(target_os = "linux")]

use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_conformance::{AppOptions, Report, check_app};

/// What is taken at a time, in bytes.
const PIECE: usize = 1 << 20;

fn report<A: App>(make: impl Fn() -> A + Send + Sync + 'static) -> Report {
    check_app(make, AppOptions::new().patience(Duration::from_secs(60)))
}

/// Takes memory until it is dropped.
async fn hoard() -> Result<(), AppError> {
    let mut pieces = Vec::new();
    loop {
        pieces.push(vec![1_u8; PIECE]);
        tokio::task::yield_now().await;
    }
}

/// Takes memory and never gives its thread back. This machine has to bear it: it stops in time.
fn hoard_at_once() -> Result<(), AppError> {
    let pieces: Vec<_> = (0..1500).map(|_| vec![1_u8; PIECE]).collect();
    loop {
        std::thread::park();
        assert!(!pieces.is_empty());
    }
}

#[test]
fn an_application_that_takes_more_and_more_memory_is_reported_for_that_alone_and_left() {
    let in_requests = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Http(_) => hoard().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let in_websockets = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::WebSocket(_) => hoard().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let at_its_start = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Lifespan(_) => hoard().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let without_a_pause = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Http(_) => hoard_at_once(),
                _ => Err(AppError::Unsupported),
            }
        }
    });
    for report in [in_requests, in_websockets, at_its_start, without_a_pause] {
        let failed: Vec<_> = report
            .failed()
            .map(|finding| (finding.check.rule.id, finding.check.name))
            .collect();
        assert_eq!(failed, [("CORE-22", "any_call")], "{report}");
    }
}
