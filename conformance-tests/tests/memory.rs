//! Applications that take memory without limit; the suite ends nevertheless.
//!
//! The suite measures the memory of the process. So these applications have a process for themselves,
//! and run one after the other.
#![cfg(target_os = "linux")]

use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_conformance::{AppOptions, Report, check_app};

/// The size of one allocation, in bytes.
const ALLOCATION: usize = 1 << 20;

fn report<A: App>(make: impl Fn() -> A + Send + Sync + 'static) -> Report {
    check_app(make, AppOptions::new().timeout(Duration::from_secs(60)))
}

/// Allocates memory until the call is dropped.
async fn allocate() -> Result<(), AppError> {
    let mut allocations = Vec::new();
    loop {
        allocations.push(vec![1_u8; ALLOCATION]);
        tokio::task::yield_now().await;
    }
}

/// Allocates 1.5 GB and then blocks the thread for ever.
fn allocate_and_block() -> Result<(), AppError> {
    let allocations: Vec<_> = (0..1500).map(|_| vec![1_u8; ALLOCATION]).collect();
    loop {
        std::thread::park();
        assert!(!allocations.is_empty());
    }
}

#[test]
fn an_application_that_takes_more_and_more_memory_is_reported_for_that_alone_and_left() {
    let in_requests = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Http(_) => allocate().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let in_websockets = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::WebSocket(_) => allocate().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let at_its_start = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Lifespan(_) => allocate().await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    let while_blocking = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            match scope {
                Scope::Http(_) => allocate_and_block(),
                _ => Err(AppError::Unsupported),
            }
        }
    });
    for report in [in_requests, in_websockets, at_its_start, while_blocking] {
        let failed: Vec<_> = report
            .failed()
            .map(|finding| (finding.check.rule.id, finding.check.name))
            .collect();
        assert_eq!(failed, [("CORE-22", "any_call")], "{report}");
    }
}
