//! The settings for proxies in front of a server.

/// The header fields that trusted proxies set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeaderFamily {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Whether each connection begins with a header of the PROXY protocol, version 1 or 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No connection begins with such a header.
    #[default]
    Off,
    /// Each connection begins with such a header. A connection without one, or of a peer that is not
    /// trusted, is closed.
    Required,
}
