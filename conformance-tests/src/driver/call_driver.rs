//! Makes one call and drives it to its end.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::channel::{DriverChannel, NextStep};
use super::client_script::ClientScript;
use super::observation::Observation;
use super::process_ended::ProcessEnded;
use super::time_budget::{Awaited, TimeBudget};
use crate::call_end::panic_message;

/// Everything that can run has run when this many rounds of the runtime bring nothing new.
const QUIET_ROUNDS: usize = 8;

/// The result of a call that has ended.
enum CallOutput {
    Returned(Result<(), AppError>),
    Panicked(String),
    ProcessEnded(String),
}

/// Makes one call on the current runtime, which other tasks may use as well.
pub(crate) async fn observe_call(
    app: BoxApp,
    script: ClientScript,
    time_budget: TimeBudget,
) -> Observation {
    let (channel, scope) = DriverChannel::new(script);
    drive_call(app, scope, channel.clone(), time_budget).await;
    channel.observation()
}

/// Calls `app` and waits for its end. A call that does nothing for longer than `time_budget` allows
/// is dropped.
pub(super) async fn drive_call(
    app: BoxApp,
    scope: Scope,
    channel: Arc<DriverChannel>,
    time_budget: TimeBudget,
) {
    let mut call = app.call_boxed(
        scope,
        Receiver::new(channel.clone()),
        Sender::new(channel.clone()),
    );
    let mut output = poll_fn(|cx| {
        channel.count_call_poll();
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(polled) => polled.map(CallOutput::Returned),
            Err(panic) => Poll::Ready(match panic.downcast::<ProcessEnded>() {
                Ok(ended) => CallOutput::ProcessEnded(ended.0),
                Err(panic) => CallOutput::Panicked(panic_message(&*panic)),
            }),
        }
    });
    let mut awaited = channel.awaited();
    let mut since = Instant::now();
    let output = loop {
        if channel.awaited() != awaited {
            awaited = channel.awaited();
            since = Instant::now();
        }
        let deadline = since + time_budget.limit(awaited);
        let activity = tokio::select! {
            biased;
            output = &mut output => break Some(output),
            activity = until_quiescent(&channel, awaited) => match activity {
                Some(activity) => Some(activity),
                None => continue,
            },
            () = sleep_until(deadline) => None,
        };
        if let Some(activity) = activity {
            if channel.on_quiescent() == NextStep::Resume {
                since = Instant::now();
                continue;
            }
            tokio::select! {
                biased;
                output = &mut output => break Some(output),
                () = poll_fn(|cx| channel.poll_active(cx, activity)) => continue,
                () = sleep_until(deadline) => {}
            }
        }
        match channel.on_timeout() {
            NextStep::Resume => time_budget.exhaust(awaited),
            NextStep::Wait => {}
            NextStep::Drop => {
                time_budget.exhaust(awaited);
                break None;
            }
        }
        since = Instant::now();
    };
    match output {
        Some(CallOutput::Returned(result)) => channel.call_returned(&result),
        Some(CallOutput::Panicked(message)) => channel.call_panicked(message),
        Some(CallOutput::ProcessEnded(how)) => channel.process_ended(&how),
        None => channel.call_dropped(),
    }
    // A destructor of the call may panic as well; the end of the call has been noted.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(call)));
}

/// Waits until everything that can run has run. Returns the activity count then, or `None` when the
/// driver has to wait for something other than `awaited`.
async fn until_quiescent(channel: &DriverChannel, awaited: Awaited) -> Option<usize> {
    let mut activity = channel.activity();
    let mut quiet_rounds = 0;
    while quiet_rounds < QUIET_ROUNDS {
        yield_now().await;
        if channel.awaited() != awaited {
            return None;
        }
        let now = channel.activity();
        quiet_rounds = if now == activity { quiet_rounds + 1 } else { 0 };
        activity = now;
    }
    Some(activity)
}
