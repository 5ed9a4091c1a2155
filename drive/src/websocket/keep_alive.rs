//! When a session pings its client, and when the ping has timed out.

use std::time::Duration;

use tokio::time::Instant;

/// How often a stalled session without pings checks whether the client is connected.
const CHECK_INTERVAL: Duration = Duration::from_secs(20);

/// The schedule of the pings.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    /// When the last ping was sent, if the client has not answered it.
    pinged: Option<Instant>,
    /// When the client last showed that it is connected.
    seen: Instant,
}

/// The action at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The client has been silent, and is pinged.
    Ping,
    /// The client has not answered a ping.
    TimedOut,
    /// The session is stalled and has no pings: the transport is asked whether the client is
    /// connected.
    Check,
}

impl KeepAlive {
    /// Starts the schedule. Without an interval there are no pings. Without a time-out a ping needs
    /// no answer.
    pub(super) fn new(interval: Option<Duration>, timeout: Option<Duration>) -> Self {
        Self {
            interval,
            timeout,
            pinged: None,
            seen: Instant::now(),
        }
    }

    /// Records that the client is connected.
    pub(super) fn seen(&mut self) {
        self.pinged = None;
        self.seen = Instant::now();
    }

    /// Records that a ping has been sent.
    pub(super) fn pinged(&mut self) {
        self.pinged = Some(Instant::now());
    }

    /// Returns the next deadline and its action. A stalled session reads nothing from the client.
    pub(super) fn next(&self, is_stalled: bool) -> Option<(Instant, Due)> {
        let next = match self.pinged {
            Some(pinged) => {
                let timeout = self.timeout.and_then(|timeout| pinged.checked_add(timeout));
                timeout.map(|deadline| (deadline, Due::TimedOut))
            }
            None => {
                let interval = self.interval;
                let interval = interval.and_then(|interval| self.seen.checked_add(interval));
                interval.map(|deadline| (deadline, Due::Ping))
            }
        };
        next.or(is_stalled.then(|| (self.seen + CHECK_INTERVAL, Due::Check)))
    }
}
