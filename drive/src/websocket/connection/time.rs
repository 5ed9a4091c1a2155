//! The pings and the deadlines of a session.

use std::pin::Pin;
use std::task::Context;

use callgate::{WebSocketClose, WebSocketDisconnect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::{CLOSE_TIMEOUT, Connection, Phase};
use crate::timer::set_timer;
use crate::websocket::keep_alive::Due;
use crate::websocket::liveness::{Activity, PeerState};
use crate::websocket::session_end::SessionEnd;

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Pings a silent client, and closes the WebSocket of a client that is gone. Otherwise sets the
    /// timer to the next deadline.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) {
        if let Some(activity) = self.socket.get_mut().take_activity() {
            self.keep_alive.seen();
            if let (Activity::MadeRoom, Phase::Closing(deadline) | Phase::Flushing(deadline)) =
                (activity, &mut self.phase)
            {
                *deadline = Instant::now() + CLOSE_TIMEOUT;
            }
        }
        let next = match self.phase {
            Phase::Open => self.keep_alive.next(self.stalled.is_some()),
            Phase::Closing(deadline) | Phase::Flushing(deadline) => Some((deadline, Due::TimedOut)),
            Phase::Closed => None,
        };
        let Some((deadline, due)) = next else { return };
        if !timer.is_elapsed() && timer.deadline() <= deadline {
            return;
        }
        if Instant::now() < deadline {
            if set_timer(timer, deadline, cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return;
        }
        match (self.phase, due) {
            (Phase::Open, Due::Ping) => {
                self.keep_alive.pinged();
                self.socket.start_ping();
                self.flush(cx);
            }
            (Phase::Open, due) => self.check_client(cx, due),
            _ => {
                self.end = SessionEnd::TimedOut;
                self.phase = Phase::Closed;
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Closes the WebSocket unless the client is connected although nothing has been received.
    ///
    /// A stalled session does not read, so it cannot see a pong. The session regards the client as
    /// connected while the application receives messages from the queue, or while the transport
    /// reports so.
    fn check_client(&mut self, cx: &mut Context<'_>, due: Due) {
        let peer_state = match self.stalled {
            None => PeerState::Unknown,
            Some(before) => {
                let left = self.mailbox.inbound_len();
                self.stalled = Some(left);
                match self.socket.get_ref().peer_state() {
                    _ if self.socket.get_ref().is_blocked() => PeerState::Unknown,
                    _ if left < before => PeerState::Connected,
                    peer_state => peer_state,
                }
            }
        };
        match (peer_state, due) {
            (PeerState::Connected, _) | (PeerState::Unknown, Due::Check) => self.keep_alive.seen(),
            (PeerState::Disconnected, _) => {
                self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
                self.end = SessionEnd::ConnectionLost;
                self.close(cx, &WebSocketClose::new(1011));
            }
            (PeerState::Unknown, _) => {
                let close = WebSocketClose::new(1011).reason("keepalive ping timeout");
                self.end = SessionEnd::TimedOut;
                self.close(cx, &close);
            }
        }
    }
}
