//! Makes one call, and sees it to its end.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::link::Next;
use super::{Link, Patience, Waiting};
use crate::lint::panic_message;

/// Rounds without anything new after which everything that can run has run.
const ROUNDS: usize = 8;

/// How a call came to its end.
enum End {
    Returned(Result<(), AppError>),
    Panicked(String),
}

/// Calls `app` and waits for what it does; an application that does nothing for too long is left.
pub(super) async fn drive(app: BoxApp, scope: Scope, link: Arc<Link>, patience: Patience) {
    let mut call = app.call_boxed(
        scope,
        Receiver::new(link.clone()),
        Sender::new(link.clone()),
    );
    let mut ended = poll_fn(|cx| {
        link.turn();
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(polled) => polled.map(End::Returned),
            Err(panic) => Poll::Ready(End::Panicked(panic_message(&*panic))),
        }
    });
    let mut waiting = link.waiting();
    let mut since = Instant::now();
    let end = loop {
        if link.waiting() != waiting {
            waiting = link.waiting();
            since = Instant::now();
        }
        let deadline = since + patience.with(waiting);
        let seen = tokio::select! {
            biased;
            end = &mut ended => break Some(end),
            seen = calm(&link, waiting) => match seen {
                Some(seen) => Some(seen),
                None => continue,
            },
            () = sleep_until(deadline) => None,
        };
        if let Some(seen) = seen {
            if link.calm() == Next::Again {
                since = Instant::now();
                continue;
            }
            tokio::select! {
                biased;
                end = &mut ended => break Some(end),
                () = poll_fn(|cx| link.poll_active(cx, seen)) => continue,
                () = sleep_until(deadline) => {}
            }
        }
        match link.impatient() {
            Next::Again => patience.spend(waiting),
            Next::Wait => {}
            Next::GiveUp => {
                patience.spend(waiting);
                break None;
            }
        }
        since = Instant::now();
    };
    match end {
        Some(End::Returned(result)) => link.returned(&result),
        Some(End::Panicked(message)) => link.panicked(message),
        None => link.dropped(),
    }
    // What it drops may panic as well; that it has ended is noted.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(call)));
}

/// Waits until everything that can run has run; returns how much activity there was, or none when
/// something else is to be waited for meanwhile.
async fn calm(link: &Link, waiting: Waiting) -> Option<usize> {
    let mut seen = link.activity();
    let mut rounds = 0;
    while rounds < ROUNDS {
        yield_now().await;
        if link.waiting() != waiting {
            return None;
        }
        let now = link.activity();
        rounds = if now == seen { rounds + 1 } else { 0 };
        seen = now;
    }
    Some(seen)
}
