//! Closes connections that are idle, that are stalled, and those of a server that shuts down.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use callgate_drive::timer::{LONGEST, set_timer, unset_timer};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};

use super::load::Load;
use crate::context::ServerContext;
use crate::deadline::{CHECKS, Check, Deadline, SHORTEST, Wait};
use crate::limit::Limit;
use crate::record::Outcome;
use crate::report;
use crate::stage::{Stage, StageWatch};

/// How long streams are still taken after GOAWAY, because a client may have begun them before.
const GOAWAY_GRACE: Duration = Duration::from_secs(3);

/// An order of the watchdog to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Send GOAWAY and complete the streams that are open: the connection has been idle for too
    /// long, others need room, or the server shuts down. This order is given once.
    Finish,
    /// Drop the connection, with this outcome of its exchanges.
    End(Outcome),
}

/// Whether the connection takes new streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// GOAWAY is on its way. hyper refuses new streams when the client acknowledges the PING that
    /// follows.
    GoingAway,
    /// New streams are refused, whatever the client acknowledges.
    Refusing,
}

/// Watches one connection.
///
/// The watchdog uses timers and the clock only when it checks the connection, and not for each
/// request.
#[pin_project]
pub(super) struct Watchdog<'a> {
    load: &'a Load,
    server: &'a ServerContext,
    phase: Phase,
    #[pin]
    deadline: Deadline,
    /// The deadline for activity of the client.
    #[pin]
    activity: Deadline,
    #[pin]
    stage: StageWatch<'a>,
    /// The end of [`GOAWAY_GRACE`].
    #[pin]
    grace: Sleep,
    /// The end of the present period of the finished responses.
    #[pin]
    period: Sleep,
    is_period_set: bool,
    /// [`Load::unblocked`] at the last check of the finished responses.
    unblocked: u64,
    /// [`Load::written`] at the beginning of the period.
    written: u64,
}

impl<'a> Watchdog<'a> {
    pub(super) fn new(server: &'a ServerContext, load: &'a Load) -> Self {
        Self {
            load,
            server,
            phase: Phase::Serving,
            deadline: Deadline::new(),
            activity: Deadline::new(),
            stage: server.stages.watch(),
            grace: unset_timer(),
            period: unset_timer(),
            is_period_set: false,
            unblocked: load.unblocked(),
            written: load.written(),
        }
    }

    /// Returns the next order. Must be polled after everything else that the task does.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let this = self.as_mut().project();
        let mut stage = this.stage;
        if stage.as_mut().poll_new(cx) == Some(Stage::Ending) {
            return Poll::Ready(Order::End(Outcome::CutByServer));
        }
        if stage.seen() == Stage::Draining && *this.phase == Phase::Serving {
            return self.finish(cx);
        }
        let limits = &this.server.config.limits;
        if *this.phase == Phase::Serving && limits.is_last_request(this.load.begun().into()) {
            this.server.limits.reached(Limit::RequestsPerConnection);
            return self.finish(cx);
        }
        if *this.phase == Phase::GoingAway && this.grace.is_elapsed() {
            *this.phase = Phase::Refusing;
            this.load.refuse();
        }
        if *this.phase == Phase::Refusing && this.load.is_idle() {
            return Poll::Ready(Order::End(Outcome::Complete));
        }
        if self.as_mut().is_client_silent(cx) {
            return Poll::Ready(Order::End(Outcome::ClientGone));
        }
        if self.as_mut().is_response_stalled(cx) {
            return Poll::Ready(Order::End(Outcome::TimedOut));
        }
        self.poll_deadline(cx)
    }

    fn finish(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let this = self.project();
        *this.phase = Phase::GoingAway;
        let _ = set_timer(this.grace, Instant::now() + GOAWAY_GRACE, cx);
        Poll::Ready(Order::Finish)
    }

    /// Returns whether the client has shown no activity in time: it has neither acknowledged the PING
    /// that hyper sends nor sent anything else. A client that takes output from a full socket is active
    /// too, because the PING may be behind that output.
    fn is_client_silent(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        // A full socket, which may hold the PING, has a deadline of its own.
        if this.load.is_writing() {
            return false;
        }
        let wait = Wait::Activity(this.load.read() + this.load.unblocked());
        let check = this.activity.poll(wait, &this.server.config, cx);
        let is_silent = check == Poll::Ready(Check::Expired);
        if is_silent {
            report::failed(
                this.load.info.client,
                &"the client does not acknowledge a PING",
            );
        }
        is_silent
    }

    /// Returns whether a response is stalled whose stream cannot be reset.
    fn is_response_stalled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let finished = &this.load.finished;
        if *this.is_period_set && !this.period.is_elapsed() || finished.is_empty() {
            return false;
        }
        let unblocked = this.load.unblocked();
        let is_blocked = unblocked != *this.unblocked || this.load.is_writing();
        *this.unblocked = unblocked;
        // A full socket and a window that is used up delay these responses until the connection has
        // written a round since the period began.
        let written = this.load.written();
        let is_delayed = is_blocked && written - *this.written < this.load.round();
        if *this.is_period_set && !is_delayed {
            *this.written = written;
            if finished.begin_period() {
                this.server.limits.reached(Limit::WriteTime);
                return true;
            }
        }
        let limit = this.server.config.timeouts.write.min(LONGEST);
        let next = Instant::now() + (limit / CHECKS).max(SHORTEST);
        *this.is_period_set = set_timer(this.period, next, cx).is_pending();
        false
    }

    fn poll_deadline(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let wait = self.wait();
        let this = self.as_mut().project();
        let open = &this.load.info.open;
        open.record(wait.into(), this.load.begun().into());
        if *this.phase == Phase::Serving && open.must_make_room() {
            *this.phase = Phase::Refusing;
            this.load.refuse();
            return Poll::Ready(Order::Finish);
        }
        if open.must_release() {
            this.server.end_buffered(this.load.info.client);
            return Poll::Ready(Order::End(Outcome::CutByServer));
        }
        match this.deadline.poll(wait, &this.server.config, cx) {
            Poll::Pending | Poll::Ready(Check::Quiet) => Poll::Pending,
            Poll::Ready(Check::Expired) => {
                this.server.limits.expired(wait);
                match wait {
                    Wait::NextRequest(_) => self.finish(cx),
                    // A connection without a stream has nothing to complete.
                    _ => Poll::Ready(Order::End(Outcome::TimedOut)),
                }
            }
        }
    }

    /// Returns what the connection waits for.
    fn wait(&self) -> Wait {
        if self.load.is_writing() {
            return Wait::Write(self.load.written() / self.server.rates.output);
        }
        if self.load.has_streams() || self.phase != Phase::Serving {
            return Wait::Application;
        }
        match self.load.begun() {
            0 => Wait::FirstRequest,
            begun => Wait::NextRequest(begun.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;

    use callgate::BoxApp;
    use tokio::time::timeout;

    use super::*;
    use crate::Config;
    use crate::connection::ConnectionInfo;
    use crate::http2::stream_state::StreamState;
    use crate::http2::windows::FrameReader;
    use crate::test_app::never;

    const KEEP_ALIVE: Duration = Duration::from_secs(16);
    const HEAD: Duration = Duration::from_secs(32);
    const WRITE: Duration = Duration::from_secs(240);

    /// Returns whether a limit has been kept. Timers complete at the next full millisecond.
    fn is_kept(limit: Duration, waited: Duration) -> bool {
        (limit..limit + limit / CHECKS + Duration::from_millis(2)).contains(&waited)
    }

    fn server() -> Arc<ServerContext> {
        let config = Config::new()
            .timeout_keep_alive(KEEP_ALIVE)
            .timeout_request_head(HEAD)
            .timeout_write(WRITE)
            .min_response_rate(0);
        Arc::new(ServerContext::new(BoxApp::new(never), config))
    }

    fn load(server: &Arc<ServerContext>) -> Arc<Load> {
        Arc::new(Load::new(ConnectionInfo::new(server.clone(), None, None)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_after_its_idle_time_and_not_before() {
        let server = server();
        let load = load(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &load));
        let mut frames = FrameReader::of_client();
        // The connection is not closed while it is used.
        for _ in 0..20 {
            drop(StreamState::begin(&load, None));
            load.record_input(&mut frames, b"x");
            let nearly = KEEP_ALIVE - Duration::from_secs(1);
            let order = timeout(nearly, poll_fn(|cx| watchdog.as_mut().poll(cx)));
            assert_eq!(order.await.ok(), None);
        }
        drop(StreamState::begin(&load, None));
        let last = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(order, Order::Finish);
        let idle = last.elapsed();
        assert!(is_kept(KEEP_ALIVE, idle), "{idle:?}");
        // The client does not close the connection.
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(order, Order::End(Outcome::Complete));
        let waited = last.elapsed() - idle;
        assert!(is_kept(GOAWAY_GRACE, waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_input_is_closed() {
        let server = server();
        let load = load(&server);
        let mut watchdog = pin!(Watchdog::new(&server, &load));
        let begun = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(
            (order, begun.elapsed()),
            (Order::End(Outcome::TimedOut), HEAD)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_socket_takes_nothing_is_closed_although_it_has_streams() {
        let server = server();
        let load = load(&server);
        let _stream = StreamState::begin(&load, None);
        let mut watchdog = pin!(Watchdog::new(&server, &load));
        let mut frames = FrameReader::of_server();
        load.set_writing(true);
        for _ in 0..5 {
            let nearly = WRITE - Duration::from_secs(1);
            let order = timeout(nearly, poll_fn(|cx| watchdog.as_mut().poll(cx)));
            assert_eq!(order.await.ok(), None);
            load.record_output(&mut frames, b"x");
        }
        let last = Instant::now();
        let order = poll_fn(|cx| watchdog.as_mut().poll(cx)).await;
        assert_eq!(order, Order::End(Outcome::TimedOut));
        assert!(is_kept(WRITE, last.elapsed()), "{:?}", last.elapsed());
    }
}
