//! The results of a session: how it ended, and what it carried.

use super::message::MessageError;

/// The messages that a session has carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// The number of messages that have been received.
    pub messages_in: u64,
    /// The octets of these messages.
    pub octets_in: u64,
    /// The number of messages that have been taken from the application.
    pub messages_out: u64,
    /// The octets of these messages.
    pub octets_out: u64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The application or the client closed the WebSocket.
    Closed,
    /// The connection was lost before.
    ConnectionLost,
    /// The client did not answer a ping or a close frame in time.
    TimedOut,
    /// The client broke the protocol or a limit.
    InvalidInput(MessageError),
    /// The server dropped the connection.
    Dropped,
}
