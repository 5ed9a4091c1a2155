//! Closes connections that are idle, and those of a server that shuts down.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use callgate_drive::timer::{LONGEST, set_timer, unset_timer};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};

use super::load::Load;
use crate::context::ServerContext;
use crate::stage::{Stage, StageWatch};

/// An order of the watchdog to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Complete the exchanges in flight and begin no new ones: the connection has been idle for too
    /// long, or the server shuts down. This order is given once.
    Finish,
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
pub(super) struct Watchdog<'a> {
    load: &'a Load,
    keep_alive: Duration,
    /// The limit before the first request, and after GOAWAY.
    first_request: Duration,
    /// The time between two checks.
    interval: Duration,
    /// Whether the connection was idle at the last check, after how many exchanges, and since when.
    is_idle: bool,
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
    pub(super) fn new(server: &'a ServerContext, load: &'a Load) -> Self {
        let since = Instant::now();
        let keep_alive = server.config.timeout_keep_alive.min(LONGEST);
        let first_request = server.config.timeout_request_head.min(LONGEST);
        let interval = keep_alive.min(first_request) / LOOKS;
        Self {
            load,
            keep_alive,
            first_request,
            interval: interval.max(SHORTEST),
            is_idle: load.is_idle(),
            begun: load.begun(),
            since,
            timer: unset_timer(),
            is_waiting: false,
            stage: server.stages.watch(),
            is_finishing: false,
        }
    }

    /// Returns the next order. Must be polled after everything else that the task does.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
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
        if stage.seen() == Stage::Draining && !*this.is_finishing {
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
        if !this.load.is_idle() {
            *this.is_idle = false;
            return Poll::Pending;
        }
        let begun = this.load.begun();
        let limit = match begun {
            1.. if !*this.is_finishing => *this.keep_alive,
            // A client may take as long to begin its first request, or to close the connection
            // after GOAWAY, as to send the head of a request.
            _ => *this.first_request,
        };
        let now = Instant::now();
        if !*this.is_idle || begun != *this.begun {
            *this.is_idle = true;
            *this.begun = begun;
            *this.since = now;
        }
        let deadline = *this.since + limit;
        if now >= deadline {
            // A connection without an exchange has nothing to complete.
            if *this.is_finishing || begun == 0 {
                return Poll::Ready(Order::End);
            }
            *this.is_finishing = true;
            *this.since = now;
            return Poll::Ready(Order::Finish);
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
    use crate::connection::ConnectionInfo;

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

    fn load(server: &Arc<ServerContext>) -> Arc<Load> {
        Arc::new(Load::new(ConnectionInfo {
            server: server.clone(),
            client: None,
            address: None,
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_after_its_idle_time_and_not_before() {
        let server = server();
        let load = load(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &load));
        // The connection is not closed while it is used.
        for _ in 0..20 {
            drop(load.begin());
            let nearly = KEEP_ALIVE - Duration::from_secs(1);
            let order = timeout(nearly, poll_fn(|cx| watchdog.as_mut().poll(cx)));
            assert_eq!(order.await.ok(), None);
        }
        drop(load.begin());
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
        let load = load(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &load));
        let begun = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!((order, begun.elapsed()), (Order::End, HEAD));
    }
}
