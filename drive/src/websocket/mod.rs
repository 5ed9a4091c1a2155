//! WebSockets, from the handshake to the end.
//!
//! A [`Handshake`] polls the application and returns the response to the handshake. The [`Mailbox`]
//! holds the messages of the open WebSocket, in a bounded queue for each direction. With the feature
//! `websocket`, a [`Session`] carries them over a connection as the frames of RFC 6455, which the
//! module [`message`] reads and writes.

#[cfg(feature = "websocket")]
mod connection;
#[cfg(feature = "websocket")]
mod deflate;
mod denial;
mod handshake;
#[cfg(feature = "websocket")]
mod keep_alive;
#[cfg(feature = "websocket")]
mod liveness;
mod mailbox;
#[cfg(feature = "websocket")]
pub mod message;
mod queue;
#[cfg(feature = "websocket")]
mod session;
#[cfg(feature = "websocket")]
mod session_end;
mod state;

pub use handshake::{Handshake, HandshakeResponse, response_head};
pub use mailbox::Mailbox;
pub use queue::Outbound;

#[cfg(feature = "websocket")]
pub use self::deflate::{DeflateParameters, PerMessageDeflate};
#[cfg(feature = "websocket")]
pub use self::liveness::PeerState;
#[cfg(feature = "websocket")]
pub use self::session::{
    AcceptedWebSocket, Detach, Session, SessionConfig, Shutdown, Transport, accept_key,
};
#[cfg(feature = "websocket")]
pub use self::session_end::{SessionEnd, Traffic};
