//! Timers that a task sets again and again.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

/// The longest time-out, a year. A longer one could overflow an [`Instant`] that is computed from it.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Returns a timer that has not been set.
pub fn unset_timer() -> Sleep {
    tokio::time::sleep(LONGEST)
}

/// Sets the timer to `deadline`. Returns ready if the deadline has passed.
///
/// The timer wakes the task without being polled again, even when the task has used up its budget
/// in the runtime.
pub fn set_timer(mut timer: Pin<&mut Sleep>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    timer.as_mut().reset(deadline);
    pin!(unconstrained(timer)).poll(cx)
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use std::future::poll_fn;

    use tokio::task::coop::consume_budget;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_completes_although_its_task_has_used_up_its_budget() {
        const TIME: Duration = Duration::from_secs(10);
        let start = Instant::now();
        let mut timer = pin!(unset_timer());
        let mut is_set = false;
        let waiting = poll_fn(|cx| {
            if !is_set {
                is_set = true;
                while pin!(consume_budget()).poll(cx).is_ready() {}
                assert!(set_timer(timer.as_mut(), start + TIME, cx).is_pending());
            }
            match timer.is_elapsed() {
                true => Poll::Ready(start.elapsed()),
                false => Poll::Pending,
            }
        });
        let waited = timeout(2 * TIME, waiting).await.unwrap();
        assert!(waited - TIME <= Duration::from_millis(1), "{waited:?}");
    }
}
