//! Faults between the server and its socket, for tests: short reads and writes, errors, ends and stalls
//! at a chosen octet.

#[cfg(all(test, feature = "http2", feature = "tls"))]
mod tests;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// The direction of the octets of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Input,
    Output,
}

/// What happens at the chosen octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails as on a connection that was reset, and every later call of both directions too.
    Reset,
    /// The input ends. The output of a socket has no such fault.
    End,
    /// The call finds the socket not ready, until the test releases the socket.
    Stall,
}

/// The faults of one socket.
#[derive(Debug)]
pub(crate) struct Faults {
    /// The largest number of octets that a call reads or writes.
    step: usize,
    fault: Option<(Direction, usize, Fault)>,
    state: Mutex<State>,
    stalled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The octets that have been read and written.
    read: usize,
    written: usize,
    is_reset: bool,
    is_released: bool,
    stalled: Option<Waker>,
}

impl Faults {
    /// Creates faults by which each call reads or writes at most `step` octets.
    pub(crate) fn short(step: usize) -> Self {
        Self {
            step,
            fault: None,
            state: Mutex::default(),
            stalled: Notify::new(),
        }
    }

    /// Creates the fault that happens after this many octets of a direction.
    pub(crate) fn after(direction: Direction, octets: usize, fault: Fault) -> Self {
        Self {
            fault: Some((direction, octets, fault)),
            ..Self::short(4096)
        }
    }

    /// Polls for the number of octets that the next call may read or write; 0 at the end of the input.
    pub(crate) fn poll(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let Some((_, at, fault)) = self.fault.filter(|fault| fault.0 == direction) else {
            return Poll::Ready(Ok(self.step));
        };
        let left = at.saturating_sub(*state.passed(direction));
        if left > 0 {
            return Poll::Ready(Ok(left.min(self.step)));
        }
        match fault {
            Fault::Reset => {
                state.is_reset = true;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Fault::End => Poll::Ready(Ok(0)),
            Fault::Stall if state.is_released => Poll::Ready(Ok(self.step)),
            Fault::Stall => {
                state.stalled = Some(cx.waker().clone());
                self.stalled.notify_one();
                Poll::Pending
            }
        }
    }

    /// Counts octets that have been read or written, and returns their number.
    pub(crate) fn passed_on(&self, direction: Direction, octets: usize) -> usize {
        *self.state().passed(direction) += octets;
        octets
    }

    /// Waits for the stall.
    pub(crate) async fn stalled(&self) {
        self.stalled.notified().await;
    }

    /// Ends the stall.
    pub(crate) fn release(&self) {
        let waker = {
            let mut state = self.state();
            state.is_released = true;
            state.stalled.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the number of octets that have been read and written.
    pub(crate) fn passed(&self) -> [usize; 2] {
        let state = self.state();
        [state.read, state.written]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn passed(&mut self, direction: Direction) -> &mut usize {
        match direction {
            Direction::Input => &mut self.read,
            Direction::Output => &mut self.written,
        }
    }
}
