//! The persistence of connections.

/// Whether a connection is used for another request after a message (RFC 9112, section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// The next request may follow on the connection.
    KeepAlive,
    /// The connection is closed.
    Close,
}
