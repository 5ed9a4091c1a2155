//! The messages of a WebSocket over a connection: RFC 6455, from octets to messages and back.
//!
//! A [`MessageStream`] reads and writes messages over any stream of octets. The decoder turns
//! the octets of the peer into messages, and does no I/O. The output holds the frames that the
//! connection has not taken.
//!
//! A stream without an incomplete message and without output holds no buffer.

mod assembler;
mod close_frame;
mod decoder;
mod error;
mod frame_header;
mod mask;
mod output;
mod stream;
mod utf8;

pub use self::close_frame::{to_close, to_disconnect};
pub use self::error::{FramingError, MessageError, ReadError};
pub use self::stream::{MessageConfig, MessageStream};

use bytes::Bytes;
use callgate::{Message, WebSocketClose};

/// The side of a WebSocket that this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The frames of the peer are masked, and those of this side are not (RFC 6455, 5.1).
    Server,
    /// The frames of the peer are not masked. Those of this side are masked with a key of zero,
    /// which does not change the payload. The peer is in the same process, so no intermediary needs
    /// a random key (RFC 6455, 10.3).
    InProcessClient,
}

/// A message or a control frame of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A complete message.
    Message(Message),
    /// A ping, with its payload. The answer is [`MessageStream::start_pong`].
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame, with its code and reason, or `None` without a payload. The answer is
    /// [`MessageStream::start_close`] with the same. Nothing is received after this.
    Close(Option<WebSocketClose>),
}
