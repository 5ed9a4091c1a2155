//! A socket of a thread that works in turns: its small output is sent when the turn ends.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use callgate_drive::{task, turn};
use tokio::task::AbortHandle;

use super::connected::{Connected, WriteHalf};

/// The most octets that are kept. More are sent at once.
const MOST: usize = 16 << 10;

/// The sending side of a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    /// `None` once this is dropped.
    socket: Option<WriteHalf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be sent.
    octets: Vec<u8>,
    /// Whether the turn sends it at its end.
    is_due: bool,
    /// The task that sends what the system did not take at the end of a turn.
    rest: Option<AbortHandle>,
    /// Why nothing more can be sent, until a write has returned it.
    error: Option<io::Error>,
    /// Who waits until all is sent.
    waker: Option<Waker>,
    /// Whether the connection has ended.
    is_closed: bool,
}

impl Outbox {
    pub(super) fn new(socket: WriteHalf) -> Arc<Self> {
        Arc::new(Self {
            socket: Some(socket),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    fn socket(&self) -> Connected<'_> {
        self.socket.as_ref().expect("not dropped").connected()
    }

    /// Takes all octets of `pieces` to send them at the end of the turn. Returns false for pieces that are not small. These are
    /// to be sent now, and nothing is left ahead of them.
    pub(super) fn poll_take(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<bool>> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        {
            let mut state = self.lock();
            if state.rest.is_some() || state.error.is_some() || state.octets.len() + length > MOST {
                ready!(self.poll_empty(state, cx))?;
                if length > MOST {
                    return Poll::Ready(Ok(false));
                }
                state = self.lock();
            }
            for piece in pieces {
                state.octets.extend_from_slice(piece);
            }
            if std::mem::replace(&mut state.is_due, true) {
                return Poll::Ready(Ok(true));
            }
        }
        turn::at_end(self.clone());
        Poll::Ready(Ok(true))
    }

    /// Returns ready once the system has all octets.
    pub(super) fn poll_sent(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_empty(self.lock(), cx)
    }

    fn poll_empty(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if state.rest.is_none() {
            self.send(&mut state);
        }
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        if state.rest.is_none() {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Sends what the system takes now. A task sends the rest.
    fn send(self: &Arc<Self>, state: &mut State) {
        match self.try_send(&mut state.octets) {
            Ok(true) => {}
            Ok(false) if state.is_closed => {}
            Ok(false) => state.rest = Some(task::spawn(self.clone().send_rest()).abort_handle()),
            Err(error) => state.error = Some(error),
        }
    }

    /// Returns whether all octets are sent.
    fn try_send(&self, octets: &mut Vec<u8>) -> io::Result<bool> {
        let mut sent = 0;
        while sent < octets.len() {
            match self.socket().try_write(&octets[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    octets.drain(..sent);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        // An idle connection holds no memory for this.
        *octets = Vec::new();
        Ok(true)
    }

    async fn send_rest(self: Arc<Self>) {
        loop {
            let result = self.socket().writable().await;
            let mut state = self.lock();
            match result.and_then(|()| self.try_send(&mut state.octets)) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => state.error = Some(error),
            }
            state.rest = None;
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            return;
        }
    }

    /// Ends the connection. Only what the system takes at the end of the turn is still sent.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        if let Some(rest) = state.rest.take() {
            rest.abort();
        }
    }
}

impl turn::AtEnd for Outbox {
    fn turn_ends(self: Arc<Self>) {
        let mut state = self.lock();
        state.is_due = false;
        if state.rest.is_none() {
            self.send(&mut state);
        }
    }
}

impl Drop for Outbox {
    /// Leaves it to the connection whether its end is announced. A half that is dropped would announce it.
    fn drop(&mut self) {
        if let Some(half) = self.socket.take() {
            half.forget();
        }
    }
}
