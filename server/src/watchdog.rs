//! When a connection must end although nothing happens on it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;
use tokio::time::{Instant, Sleep};

use crate::link::{Activity, Link};
use crate::server::Server;
use crate::stage::{Stage, StageWatch, unset_timer};

/// What a connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Finish what runs and take nothing new: it has been idle for too long, or the server shuts
    /// down. Given once for each of the two.
    Finish,
    /// Give up on a head that does not come.
    TooSlow,
    /// End at once.
    End,
}

/// Watches over one connection.
///
/// It costs nearly nothing while requests come and go: the timer is not moved for each of them, but
/// looked at when it goes off and set again if that was too early.
#[pin_project]
pub(crate) struct Watchdog<'a> {
    link: &'a Link,
    keep_alive: Duration,
    request_head: Duration,
    /// What the connection was doing when it was last looked at, and since when.
    activity: Activity,
    begun: u32,
    since: Instant,
    #[pin]
    timer: Sleep,
    #[pin]
    stage: StageWatch<'a>,
    is_finishing: bool,
}

impl<'a> Watchdog<'a> {
    pub(crate) fn new(server: &'a Server, link: &'a Link) -> Self {
        let since = Instant::now();
        Self {
            link,
            keep_alive: server.config.timeout_keep_alive,
            request_head: server.config.timeout_request_head,
            activity: link.activity(),
            begun: link.begun(),
            since,
            timer: unset_timer(),
            stage: server.stages.watch(),
            is_finishing: false,
        }
    }

    /// What the connection is to do now. To be polled after everything else that the task does.
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        match self.as_mut().poll_stage(cx) {
            Poll::Pending => self.poll_time(cx),
            order => order,
        }
    }

    /// What it is to do as the server shuts down. The task is woken for that by
    /// [`poll`](Self::poll) alone.
    pub(crate) fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let this = self.project();
        match this.stage.poll_new(cx) {
            Some(Stage::Ending) => Poll::Ready(Order::End),
            Some(_) if !*this.is_finishing => {
                *this.is_finishing = true;
                Poll::Ready(Order::Finish)
            }
            _ => Poll::Pending,
        }
    }

    fn poll_time(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        let mut this = self.project();
        let (activity, begun) = (this.link.activity(), this.link.begun());
        if (activity, begun) != (*this.activity, *this.begun) {
            (*this.activity, *this.begun) = (activity, begun);
            *this.since = Instant::now();
        }
        let limit = match activity {
            Activity::Busy => return Poll::Pending,
            Activity::Idle if begun > 0 && !*this.is_finishing => *this.keep_alive,
            // A new connection may take as long to begin its first request as to finish it, and so
            // may an HTTP/2 client to hang up when it is told to.
            Activity::Idle | Activity::ReadingHead => *this.request_head,
        };
        let deadline = *this.since + limit;
        if this.timer.is_elapsed() {
            if Instant::now() >= deadline {
                return match activity {
                    Activity::ReadingHead => Poll::Ready(Order::TooSlow),
                    _ if *this.is_finishing => Poll::Ready(Order::End),
                    _ => {
                        *this.is_finishing = true;
                        *this.since = Instant::now();
                        Poll::Ready(Order::Finish)
                    }
                };
            }
        } else if this.timer.deadline() <= deadline {
            return Poll::Pending;
        }
        this.timer.as_mut().reset(deadline);
        if this.timer.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
