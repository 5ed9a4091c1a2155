//! An open WebSocket, from the response to its handshake to the end of its connection.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use callgate::{WebSocketClose, WebSocketDisconnect};
use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY};
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::handshake::derive_accept_key;

use super::connection::Connection;
use super::keep_alive::KeepAlive;
use super::liveness::{Observed, PeerState};
use super::message::{MessageConfig, MessageStream, Role};
use super::session_end::{SessionEnd, Traffic};
use super::{DeflateParameters, Mailbox};
use crate::Call;
use crate::linger::linger;
use crate::timer::unset_timer;

/// The octets of output at which no further message is taken from the application.
const MAX_WAITING_OUTPUT: usize = 16 * 1024;

/// Runs a call that goes on after its WebSocket has ended. Servers implement it.
pub trait Detach {
    /// Runs the call to its end on a task of its own: [`Call::run`].
    fn detach(&self, call: Call, mailbox: Arc<Mailbox>);
}

/// The stages of a server's shutdown, as a session sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// The WebSocket is closed with 1012 (rule `WS-26`), and the client has time to answer.
    Close,
    /// The connection is dropped at once.
    Drop,
}

/// The limits and the pings of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionConfig {
    /// The largest message taken from the client, in bytes (rule `WS-17`). Default: 16 MiB.
    pub max_message_size: usize,
    /// The largest number of frames of a message of the client. Default: 16384.
    pub max_message_frames: usize,
    /// How long the client may be silent before the session pings it; `None` for no pings. Default:
    /// 20 s.
    pub ping_interval: Option<Duration>,
    /// How long the client may take to answer a ping (rule `WS-16`); `None` for no limit. Default:
    /// 20 s.
    pub ping_timeout: Option<Duration>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_message_size: 16 * 1024 * 1024,
            max_message_frames: 16 * 1024,
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Some(Duration::from_secs(20)),
        }
    }
}

/// The connection that a WebSocket is carried over.
pub struct Transport<S> {
    stream: S,
    unread: Bytes,
    peer_state: fn(&S) -> PeerState,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transport<S> {
    /// Creates a transport over any stream of octets.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Bytes::new(),
            peer_state: |_| PeerState::Unknown,
        }
    }

    /// Sets the input that has been read from the stream after the handshake.
    #[must_use]
    pub fn unread(mut self, unread: Bytes) -> Self {
        self.unread = unread;
        self
    }

    /// Sets the function that returns whether the client is connected without reading. The session
    /// calls it when the session cannot read, because the application does not receive.
    #[must_use]
    pub fn peer_state(mut self, peer_state: fn(&S) -> PeerState) -> Self {
        self.peer_state = peer_state;
        self
    }
}

impl<S> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

/// A WebSocket that the application has accepted.
///
/// When the WebSocket is dropped, the application receives a disconnect, and its call is detached.
#[derive(Debug)]
pub struct AcceptedWebSocket<D: Detach> {
    /// `None` once the call has ended or has been detached.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    deflate: Option<DeflateParameters>,
    detach: D,
}

impl<D: Detach> AcceptedWebSocket<D> {
    /// Creates a WebSocket from the parts that [`Handshake::open`](super::Handshake::open) returns.
    pub fn new((call, mailbox): (Option<Call>, Arc<Mailbox>), detach: D) -> Self {
        Self {
            call,
            mailbox,
            deflate: None,
            detach,
        }
    }

    /// Sets the parameters of permessage-deflate that the response to the handshake has. Default:
    /// none.
    #[must_use]
    pub fn deflate(mut self, parameters: Option<DeflateParameters>) -> Self {
        self.deflate = parameters;
        self
    }

    /// Creates the session of this WebSocket over its connection.
    pub fn into_session<S>(self, transport: Transport<S>, config: SessionConfig) -> Session<S, D>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let stream = Observed::new(transport.stream, transport.peer_state);
        let limits = MessageConfig {
            max_message_size: config.max_message_size,
            max_message_frames: config.max_message_frames,
            max_waiting_output: MAX_WAITING_OUTPUT,
            deflate: self.deflate,
        };
        let socket = MessageStream::new(stream, &transport.unread, Role::Server, limits);
        let keep_alive = KeepAlive::new(config.ping_interval, config.ping_timeout);
        Session {
            connection: Connection::new(socket, self.mailbox.clone(), keep_alive),
            websocket: self,
        }
    }

    fn detach_call(&mut self) {
        if let Some(call) = self.call.take() {
            self.detach.detach(call, self.mailbox.clone());
        }
    }
}

impl<D: Detach> Drop for AcceptedWebSocket<D> {
    fn drop(&mut self) {
        if self.call.is_some() {
            self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
            self.detach_call();
        }
    }
}

/// An open WebSocket: its connection and its application.
#[derive(Debug)]
pub struct Session<S, D: Detach> {
    connection: Connection<S>,
    websocket: AcceptedWebSocket<D>,
}

/// How the frames of a session have ended.
enum End {
    Closed,
    /// The server drops the connection.
    Dropped,
}

impl<S, D> Session<S, D>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Detach,
{
    /// Carries messages until the WebSocket is closed, and waits for the end of the connection. A
    /// call that goes on after the disconnect is detached. The session must not be run again after
    /// that. Returns how the session ended.
    ///
    /// The future must be alone on its task: what the application waits for does not wake the task while
    /// the session polls.
    ///
    /// The application is polled in place. `poll_shutdown` is called at each poll of the session,
    /// and returns each stage of a shutdown once, as a stream does.
    pub async fn run(
        &mut self,
        mut poll_shutdown: impl FnMut(&mut Context<'_>) -> Poll<Shutdown>,
    ) -> SessionEnd {
        let Self {
            connection,
            websocket,
        } = self;
        let end = {
            let mut timer = pin!(unset_timer());
            poll_fn(|cx| {
                while let Poll::Ready(shutdown) = poll_shutdown(cx) {
                    match shutdown {
                        Shutdown::Close => connection.close(cx, &WebSocketClose::new(1012)),
                        Shutdown::Drop => return Poll::Ready(End::Dropped),
                    }
                }
                let closed = connection.poll(cx, &mut websocket.call, timer.as_mut());
                if !connection.is_open() {
                    // Detached before the connection lingers: the grace period begins now.
                    websocket.detach_call();
                }
                closed.map(|()| End::Closed)
            })
            .await
        };
        if matches!(end, End::Dropped) {
            return SessionEnd::Dropped;
        }
        let end = connection.end();
        // Boxed, so that an idle WebSocket does not hold the memory of this future.
        let mut lingering = Box::pin(linger(connection.stream_mut()));
        poll_fn(|cx| {
            while let Poll::Ready(shutdown) = poll_shutdown(cx) {
                if shutdown == Shutdown::Drop {
                    return Poll::Ready(());
                }
            }
            lingering.as_mut().poll(cx)
        })
        .await;
        end
    }

    /// Returns the messages that the session has carried.
    pub fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }
}

/// Returns the value of `sec-websocket-accept` for a handshake with these fields (RFC 6455, 4.2.2).
/// `None` without a key, which a handshake over HTTP/2 does not have.
#[must_use]
pub fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()
}
