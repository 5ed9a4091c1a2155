//! The time-outs of a connection and of a stream: each thing that they may wait for has a limit.

#[cfg(feature = "http2")]
use std::future::Future as _;
use std::pin::Pin;
#[cfg(feature = "http2")]
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use callgate_drive::timer::{LONGEST, set_timer, unset_timer};
use pin_project::pin_project;
#[cfg(feature = "http2")]
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use crate::config::Config;
use crate::limit::Limit;

/// The wait of a connection or a stream, with a number that changes when the wait makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The application: no limit.
    Application,
    /// The first octet of the first request.
    FirstRequest,
    /// The next request. The number counts the requests of the connection.
    NextRequest(u64),
    /// The next request, which is the last one because the server shuts down.
    LastRequest,
    /// The rest of a request's head. The number counts the requests of the connection.
    Head(u64),
    /// Content of the request. The number counts what has been read, in units of
    /// [`Rates::content`](crate::context::Rates) where the least rate holds.
    Content(u64),
    /// The end of content that is skipped. The number counts the requests of the connection.
    SkippedContent(u64),
    /// Content of a request whose client may wait for a `100 Continue` that cannot be sent.
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "only HTTP/2 has this wait")
    )]
    Expectation,
    /// Any activity of the client, such as the acknowledgement of a PING. The number changes with it.
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "only HTTP/2 has this wait")
    )]
    Activity(u64),
    /// Room for output. The number counts what has been written, in units of
    /// [`Rates::output`](crate::context::Rates).
    Write(u64),
    /// The end of the response to a client that has closed its sending side. The number counts the
    /// octets that have been read and written.
    HalfClosed(u64),
}

impl Wait {
    /// Returns the limit that a client has reached when this wait has expired. An idle connection reaches
    /// none.
    pub(crate) fn limit(self) -> Option<Limit> {
        match self {
            Self::FirstRequest | Self::Head(_) => Some(Limit::RequestHeadTime),
            Self::Content(_) | Self::SkippedContent(_) => Some(Limit::RequestContentTime),
            Self::Write(_) => Some(Limit::WriteTime),
            Self::Application
            | Self::NextRequest(_)
            | Self::LastRequest
            | Self::Expectation
            | Self::Activity(_)
            | Self::HalfClosed(_) => None,
        }
    }
}

/// The number of checks within a limit. Progress since the last check counts as if it had been made
/// just now, so a limit may be exceeded by the time between two checks.
pub(crate) const CHECKS: u32 = 8;

/// The least time between two checks that find progress, because each check has a cost.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);

/// How long the client of an HTTP/2 connection may show no activity. The client is pinged after half of
/// this time.
pub(crate) const SILENCE: Duration = Duration::from_secs(40);

/// How long a client may wait for a `100 Continue` that cannot be sent. Most clients wait for one
/// second.
const EXPECTATION: Duration = Duration::from_secs(5);

/// A server that shuts down keeps an HTTP/1 connection for this time if its last response is younger than
/// that: the next request may be on its way.
pub(crate) const LAST_REQUEST: Duration = Duration::from_secs(1);

/// The deadline of what a connection waits for.
///
/// The deadline uses the timer and the clock only when it is checked, and not for each request.
///
/// After a stall of the runtime, the deadline is polled late: the client has had no time to answer a
/// PING that has just been sent, and another task may have output to write that the client has room
/// for. So a wait expires only at the second of two checks that are an eighth of the limit apart, and
/// that both find no progress.
#[pin_project]
#[derive(Debug)]
pub(crate) struct Deadline {
    /// The wait at the last check, and since when it has made no progress.
    wait: Wait,
    since: Instant,
    #[pin]
    timer: Sleep,
    /// Whether the timer has been set since the last check.
    is_set: bool,
    /// Whether the last check found no progress.
    is_quiet: bool,
    /// Whether the wait expires at the next check unless that check finds progress.
    is_last: bool,
}

/// The state of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// There has been no progress between two checks.
    Quiet,
    /// The deadline has passed.
    Expired,
}

impl Deadline {
    pub(crate) fn new() -> Self {
        Self {
            wait: Wait::Application,
            since: Instant::now(),
            timer: unset_timer(),
            is_set: false,
            is_quiet: false,
            is_last: false,
        }
    }

    /// Checks the deadline of `wait`. Must be polled after everything else that the task does.
    #[inline]
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        wait: Wait,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Poll<Check> {
        if wait == Wait::Application {
            // The client has taken all output that there is, which is progress, however little it was.
            if matches!(self.wait, Wait::Write(_)) {
                *self.project().wait = wait;
            }
            return Poll::Pending;
        }
        let is_same = std::mem::discriminant(&wait) == std::mem::discriminant(&self.wait);
        let is_outdated = self.is_quiet && self.wait != wait;
        if is_same && self.is_set && !self.timer.is_elapsed() && !is_outdated {
            return Poll::Pending;
        }
        self.check(wait, config, cx)
    }

    /// Has the deadline wake this task, after another task has polled it.
    #[cfg(feature = "http2")]
    pub(crate) fn register(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if *this.is_set {
            // A deadline that has passed is seen by the next poll.
            let _ = pin!(unconstrained(this.timer)).poll(cx);
        }
    }

    // Not inlined, because a check is rare.
    #[inline(never)]
    fn check(
        self: Pin<&mut Self>,
        wait: Wait,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Poll<Check> {
        let this = self.project();
        let mut timer = this.timer;
        let limit = limit(wait, config);
        let now = Instant::now();
        let is_quiet = *this.wait == wait;
        *this.is_quiet = is_quiet;
        if !is_quiet {
            *this.wait = wait;
            *this.since = now;
        }
        // A year at most, so the sum is an instant.
        let deadline = *this.since + limit;
        *this.is_set = false;
        let is_last = std::mem::take(this.is_last);
        if limit.is_zero() || is_quiet && is_last {
            return Poll::Ready(Check::Expired);
        }
        let interval = limit / CHECKS;
        let next = if !is_quiet {
            deadline.min(now + interval.max(SHORTEST))
        } else if now + interval < deadline {
            deadline - interval
        } else {
            *this.is_last = true;
            now + interval
        };
        *this.is_set = set_timer(timer.as_mut(), next, cx).is_pending();
        if !*this.is_set {
            cx.waker().wake_by_ref();
        }
        match is_quiet {
            true => Poll::Ready(Check::Quiet),
            false => Poll::Pending,
        }
    }
}

fn limit(wait: Wait, config: &Config) -> Duration {
    let limit = match wait {
        Wait::Application => LONGEST,
        // A client may take as long to begin its first request as to send its head.
        Wait::FirstRequest | Wait::Head(_) => config.timeouts.request_head,
        Wait::NextRequest(_) => config.timeouts.keep_alive,
        Wait::LastRequest => LAST_REQUEST,
        Wait::Content(_) | Wait::SkippedContent(_) => config.timeouts.request_content,
        Wait::Expectation => config.timeouts.request_content.min(EXPECTATION),
        Wait::Activity(_) => SILENCE,
        Wait::Write(_) => config.timeouts.write,
        Wait::HalfClosed(_) => config.timeouts.half_close,
    };
    limit.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(80);

    fn config(limit: Duration) -> Config {
        Config::new().timeout_keep_alive(limit)
    }

    async fn expired(mut deadline: Pin<&mut Deadline>, wait: Wait, config: &Config) {
        while poll_fn(|cx| deadline.as_mut().poll(wait, config, cx)).await == Check::Quiet {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_expires_at_most_an_eighth_late_whenever_it_made_its_last_progress() {
        let config = config(LIMIT);
        for seconds in [1, 9, 11, 30, 79] {
            let mut deadline = pin!(Deadline::new());
            let until_progress = Duration::from_secs(seconds);
            let first = expired(deadline.as_mut(), Wait::NextRequest(1), &config);
            assert!(timeout(until_progress, first).await.is_err());
            let progress = Instant::now();
            expired(deadline.as_mut(), Wait::NextRequest(2), &config).await;
            let waited = progress.elapsed();
            // Timers complete at the next full millisecond.
            let latest = LIMIT + LIMIT / CHECKS + Duration::from_millis(2);
            assert!((LIMIT..latest).contains(&waited), "{seconds}: {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_does_not_expire_at_the_end_of_a_stall_of_the_runtime() {
        const WAIT: Wait = Wait::NextRequest(1);
        let config = config(LIMIT);
        for seconds in [0, 1, 9, 11, 30, 60, 69] {
            for stall in [LIMIT, 10 * LIMIT] {
                let mut deadline = pin!(Deadline::new());
                let until_stall = Duration::from_secs(seconds);
                let first = expired(deadline.as_mut(), WAIT, &config);
                assert!(timeout(until_stall, first).await.is_err());
                advance(stall).await;
                let resumed = Instant::now();
                expired(deadline.as_mut(), WAIT, &config).await;
                let waited = resumed.elapsed();
                let latest = LIMIT / CHECKS + Duration::from_millis(2);
                assert!(
                    (LIMIT / CHECKS..latest).contains(&waited),
                    "{seconds}, {stall:?}: {waited:?}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_below_the_shortest_time_between_checks_is_kept() {
        for limit in [SHORTEST / 10, SHORTEST / 2, SHORTEST] {
            let begun = Instant::now();
            let deadline = pin!(Deadline::new());
            expired(deadline, Wait::NextRequest(1), &config(limit)).await;
            let waited = begun.elapsed();
            let latest = limit + limit / CHECKS + Duration::from_millis(2);
            assert!((limit..latest).contains(&waited), "{limit:?}: {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_expires_at_the_first_check() {
        let mut deadline = pin!(Deadline::new());
        let config = config(Duration::ZERO);
        let check = poll_fn(|cx| {
            let check = deadline.as_mut().poll(Wait::NextRequest(1), &config, cx);
            Poll::Ready(check)
        });
        assert_eq!(check.await, Poll::Ready(Check::Expired));
    }
}
