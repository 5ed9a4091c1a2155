//! The lines of the server's log that clients cause: rejected requests and failed connections.
//! `callgate-drive` logs the failures of calls.
//!
//! A client could fill the log with such lines. So each kind has a limit of the process, as the log has, and
//! the number of lines that were left out is logged when the next period begins.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callgate_drive::Escaped;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::Level;

use crate::access_log::Client;
use crate::rejection::Rejection;

/// The lines of a kind in one period.
const MAX_LINES: u32 = 20;

const PERIOD: Duration = Duration::from_secs(1);

static REJECTED: LineLimit = LineLimit::new("rejected requests");
static FAILED: LineLimit = LineLimit::new("failed connections");
#[cfg(feature = "tls")]
static HANDSHAKES: LineLimit = LineLimit::new("failed TLS handshakes");

/// The lines of all kinds that were left out.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines of the process were left out.
#[cfg_attr(not(test), expect(dead_code, reason = "metrics use it"))]
pub(crate) fn left_out_lines() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Logs that a client sent a request that the server rejects.
pub(crate) fn rejected(client: Option<SocketAddr>, rejection: &Rejection) {
    if tracing::enabled!(Level::INFO) && REJECTED.admits() {
        let client = Client(client);
        tracing::info!("{client}: {}: {}", rejection.status(), rejection.reason());
    }
}

/// Logs that a connection failed.
pub(crate) fn failed(client: Option<SocketAddr>, error: &impl fmt::Display) {
    if tracing::enabled!(Level::DEBUG) && FAILED.admits() {
        tracing::debug!("{}: {}", Client(client), Escaped(error));
    }
}

/// Logs that a TLS handshake failed.
#[cfg(feature = "tls")]
pub(crate) fn handshake_failed(client: Option<SocketAddr>, error: &impl fmt::Display) {
    if tracing::enabled!(Level::DEBUG) && HANDSHAKES.admits() {
        tracing::debug!("{}: {}", Client(client), Escaped(error));
    }
}

/// The limit on the lines of one kind.
struct LineLimit {
    kind: &'static str,
    state: Mutex<LimitState>,
}

struct LimitState {
    /// The end of the present period; `None` before the first line.
    end: Option<Instant>,
    lines: u32,
    /// The lines that were left out and have not been reported.
    left_out: u64,
}

/// Whether a line is written.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// The line is left out, as the first of its period. The others are reported at the end of the period.
    LeaveOutUntil(Instant),
    LeaveOut,
}

impl LineLimit {
    const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            state: Mutex::new(LimitState {
                end: None,
                lines: 0,
                left_out: 0,
            }),
        }
    }

    /// Returns whether a line may be written now. Otherwise the line is counted.
    fn admits(&'static self) -> bool {
        match self.count(Instant::now()) {
            Verdict::Write => true,
            Verdict::LeaveOut => false,
            Verdict::LeaveOutUntil(end) => {
                // Connections are served on a runtime.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(async move {
                        tokio::time::sleep_until(end).await;
                        let (left_out, kind) = (self.take_left_out(), self.kind);
                        tracing::info!("left out {left_out} lines about {kind}");
                    });
                }
                false
            }
        }
    }

    fn count(&self, now: Instant) -> Verdict {
        let mut state = self.lock();
        let end = match state.end {
            Some(end) if now < end => end,
            _ => {
                state.lines = 0;
                *state.end.insert(now + PERIOD)
            }
        };
        if state.lines < MAX_LINES {
            state.lines += 1;
            return Verdict::Write;
        }
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        state.left_out += 1;
        match state.left_out {
            1 => Verdict::LeaveOutUntil(end),
            _ => Verdict::LeaveOut,
        }
    }

    fn take_left_out(&self) -> u64 {
        std::mem::take(&mut self.lock().left_out)
    }

    fn lock(&self) -> MutexGuard<'_, LimitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_lines_of_a_period_are_left_out_and_counted() {
        let limit = LineLimit::new("tests");
        let start = Instant::now();
        let before = left_out_lines();
        for _ in 0..MAX_LINES {
            assert_eq!(limit.count(start), Verdict::Write);
        }
        let end = start + PERIOD;
        assert_eq!(limit.count(start), Verdict::LeaveOutUntil(end));
        for _ in 0..9 {
            assert_eq!(limit.count(start), Verdict::LeaveOut);
        }
        assert!(left_out_lines() >= before + 10);
        assert_eq!(limit.take_left_out(), 10);
        assert_eq!(limit.count(end), Verdict::Write);
        assert_eq!(limit.take_left_out(), 0);
    }
}
