//! A filter between the server and a client that breaks rules which the reference server keeps.

/// Stands between the server and one client, and changes the octets that pass.
pub(crate) trait ConnectionFilter: Send {
    /// Returns the octets that reach the server.
    fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
        octets
    }

    /// Returns octets that reach the client before the server has answered.
    fn at_once(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Returns how many bytes for the client are held before the server is no longer read from.
    fn buffer_capacity(&self) -> usize {
        0
    }

    /// Returns the octets that reach the client.
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        octets
    }

    /// Returns whether a half-close of the client reaches the server.
    fn passes_end(&mut self) -> bool {
        true
    }

    /// Returns whether a reset by the server reaches the client. Otherwise the connection ends in order.
    fn passes_reset(&self) -> bool {
        true
    }

    /// Returns octets that reach the client after the server has ended the connection.
    fn after_end(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// Replaces one text by another in what reaches the client.
pub(crate) struct Replacement(pub(crate) &'static str, pub(crate) &'static str);

impl ConnectionFilter for Replacement {
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        replace(&octets, self.0, self.1)
    }
}

/// Returns `octets` with `new` in place of each `old`.
pub(crate) fn replace(octets: &[u8], old: impl AsRef<[u8]>, new: impl AsRef<[u8]>) -> Vec<u8> {
    let (old, new) = (old.as_ref(), new.as_ref());
    let mut replaced = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = find(rest, old) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// Returns where `wanted` begins in `octets`.
pub(crate) fn find(octets: &[u8], wanted: impl AsRef<[u8]>) -> Option<usize> {
    memchr::memmem::find(octets, wanted.as_ref())
}

/// Returns whether the octets are the handshake of a WebSocket over HTTP/1.1.
pub(crate) fn is_handshake(octets: &[u8]) -> bool {
    find(octets, "upgrade: websocket\r\n").is_some()
}
