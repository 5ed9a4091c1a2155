//! Timers that tasks set anew, again and again.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

/// As good as for ever: no limit is longer, as the moments that follow one must be told as well.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A timer that has not been set.
pub(crate) fn unset_timer() -> Sleep {
    tokio::time::sleep(LONGEST)
}

/// Sets the timer, which wakes the task at `deadline` even if that has used up all that a task may
/// do at a time: it need not be polled again until then. Ready when it is past already.
pub(crate) fn set_timer(
    mut timer: Pin<&mut Sleep>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    timer.as_mut().reset(deadline);
    pin!(unconstrained(timer)).poll(cx)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::coop::consume_budget;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_goes_off_whatever_its_task_had_used_up() {
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
