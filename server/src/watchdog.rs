//! Closes connections that are idle or too slow, and those of a server that shuts down.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use callgate_drive::timer::{LONGEST, set_timer, unset_timer};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};

use crate::context::ServerContext;
use crate::link::{Activity, Link};
use crate::stage::{Stage, StageWatch};

/// An order of the watchdog to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Complete the exchanges in flight and begin no new ones: the connection has been idle for too
    /// long, or the server shuts down. This order is given once.
    Finish,
    /// Reject a request whose head does not arrive in time.
    TooSlow,
    /// Drop the connection.
    End,
}

/// The number of checks of a connection within the shorter of its limits. An activity since the
/// last check counts as if it had ended just now, so a limit may be exceeded by the time between
/// two checks.
const LOOKS: u32 = 8;

/// The least time between two checks, because each check has a cost.
const SHORTEST: Duration = Duration::from_millis(100);

/// Watches one connection.
///
/// The watchdog uses the timer and the clock only when it checks the connection, and not for each
/// request.
#[pin_project]
pub(crate) struct Watchdog<'a> {
    link: &'a Link,
    keep_alive: Duration,
    request_head: Duration,
    /// The time between two checks.
    interval: Duration,
    /// What the connection was doing at the last check, and since when.
    activity: Activity,
    begun: u32,
    since: Instant,
    #[pin]
    timer: Sleep,
    /// Whether the timer has been set since the last check.
    is_waiting: bool,
    #[pin]
    stage: StageWatch<'a>,
    is_finishing: bool,
}

impl<'a> Watchdog<'a> {
    pub(crate) fn new(server: &'a ServerContext, link: &'a Link) -> Self {
        let since = Instant::now();
        let keep_alive = server.config.timeout_keep_alive.min(LONGEST);
        let request_head = server.config.timeout_request_head.min(LONGEST);
        let interval = keep_alive.min(request_head) / LOOKS;
        Self {
            link,
            keep_alive,
            request_head,
            interval: interval.max(SHORTEST),
            activity: link.activity(),
            begun: link.begun(),
            since,
            timer: unset_timer(),
            is_waiting: false,
            stage: server.stages.watch(),
            is_finishing: false,
        }
    }

    /// Returns the next order. Must be polled after everything else that the task does.
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        match self.as_mut().poll_stage(cx) {
            Poll::Pending => self.poll_time(cx),
            order => order,
        }
    }

    /// Returns the order that follows from the stage of the server.
    fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let this = self.project();
        let mut stage = this.stage;
        if stage.as_mut().poll_new(cx) == Some(Stage::Ending) {
            return Poll::Ready(Order::End);
        }
        let is_draining = stage.seen() == Stage::Draining;
        // A request whose head has begun to arrive is still served.
        if is_draining && !*this.is_finishing && this.link.activity() != Activity::ReadingHead {
            *this.is_finishing = true;
            return Poll::Ready(Order::Finish);
        }
        Poll::Pending
    }

    fn poll_time(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let this = self.project();
        if *this.is_waiting && !this.timer.is_elapsed() {
            return Poll::Pending;
        }
        *this.is_waiting = false;
        let (activity, begun) = (this.link.activity(), this.link.begun());
        let limit = match activity {
            Activity::Busy => {
                *this.activity = activity;
                return Poll::Pending;
            }
            Activity::Idle if begun > 0 && !*this.is_finishing => *this.keep_alive,
            // A new connection may take as long to begin its first request as to send its head. An
            // HTTP/2 client may take as long to close the connection after GOAWAY.
            Activity::Idle | Activity::ReadingHead => *this.request_head,
        };
        let now = Instant::now();
        if (activity, begun) != (*this.activity, *this.begun) {
            (*this.activity, *this.begun) = (activity, begun);
            *this.since = now;
        }
        let deadline = *this.since + limit;
        if now >= deadline {
            return Poll::Ready(match activity {
                Activity::ReadingHead => Order::TooSlow,
                // A connection without an exchange has nothing to complete.
                _ if *this.is_finishing || begun == 0 => Order::End,
                _ => {
                    *this.is_finishing = true;
                    *this.since = now;
                    Order::Finish
                }
            });
        }
        let next = deadline.min(now + *this.interval);
        *this.is_waiting = set_timer(this.timer, next, cx).is_pending();
        if !*this.is_waiting {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;

    use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
    use tokio::time::timeout;

    use super::*;
    use crate::Config;

    const KEEP_ALIVE: Duration = Duration::from_secs(80);
    const HEAD: Duration = Duration::from_secs(160);
    /// Returns the most time by which a limit is exceeded. Timers complete at the next full
    /// millisecond.
    fn latest() -> Duration {
        KEEP_ALIVE / LOOKS + Duration::from_millis(2)
    }

    fn server() -> Arc<ServerContext> {
        async fn never(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
            Err(AppError::Unsupported)
        }
        let config = Config {
            timeout_keep_alive: KEEP_ALIVE,
            timeout_request_head: HEAD,
            ..Config::default()
        };
        Arc::new(ServerContext::new(BoxApp::new(never), config))
    }

    fn link(server: &Arc<ServerContext>) -> Link {
        Link::new(server.clone(), None, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_after_its_idle_time_and_not_before() {
        let server = server();
        let link = link(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &link));
        // The connection is not closed while it is used.
        for _ in 0..20 {
            link.exchange_begins();
            link.exchange_ends();
            let nearly = KEEP_ALIVE - Duration::from_secs(1);
            let order = timeout(nearly, poll_fn(|cx| watchdog.as_mut().poll(cx)));
            assert_eq!(order.await.ok(), None);
        }
        link.exchange_begins();
        link.exchange_ends();
        let last = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(order, Order::Finish);
        let idle = last.elapsed();
        assert!(
            (KEEP_ALIVE..KEEP_ALIVE + latest()).contains(&idle),
            "{idle:?}"
        );
        // The client does not close the connection.
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!((order, last.elapsed() - idle), (Order::End, HEAD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_input_is_closed() {
        let server = server();
        let link = link(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &link));
        let begun = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!((order, begun.elapsed()), (Order::End, HEAD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_head_does_not_arrive_is_rejected() {
        let server = server();
        let link = link(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &link));
        let order = timeout(HEAD / 2, poll_fn(|cx| watchdog.as_mut().poll(cx)));
        assert_eq!(order.await.ok(), None);
        link.set_has_input(true);
        let begun = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(order, Order::TooSlow);
        let waited = begun.elapsed();
        assert!((HEAD..HEAD + latest()).contains(&waited), "{waited:?}");
    }
}
