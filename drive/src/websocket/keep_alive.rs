//! When a session pings its client, and when it takes the client for gone.

use std::time::Duration;

use tokio::time::Instant;

/// How often a stalled session without pings looks whether the client has hung up.
const CHECK_INTERVAL: Duration = Duration::from_secs(20);

/// The clock of the pings.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    /// When the ping was sent that is not answered.
    pinged: Option<Instant>,
    /// When the client last showed that it is there.
    seen: Instant,
}

/// What is to be done at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The client has been silent: it is to be pinged.
    Ping,
    /// The client has not answered a ping.
    TimedOut,
    /// The session is stalled and has no pings: the transport is to be asked for the client.
    Check,
}

impl KeepAlive {
    /// Starts the clock. Without an interval there are no pings; without a time-out they need no
    /// answer.
    pub(super) fn new(interval: Option<Duration>, timeout: Option<Duration>) -> Self {
        Self {
            interval,
            timeout,
            pinged: None,
            seen: Instant::now(),
        }
    }

    /// Notes that the client is there.
    pub(super) fn seen(&mut self) {
        self.pinged = None;
        self.seen = Instant::now();
    }

    /// Notes that a ping has been sent.
    pub(super) fn pinged(&mut self) {
        self.pinged = Some(Instant::now());
    }

    /// Returns when something is due, and what. A stalled session reads nothing from the client.
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
