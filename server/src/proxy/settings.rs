//! The settings for proxies in front of a server.

use super::TrustedPeers;

/// What a server takes from the proxies in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// Whether the header fields of trusted proxies set the client, the scheme, the host and the root
    /// path of the scope. The fields of other peers are removed. If unset, all fields are passed on and
    /// none has an effect. Default yes.
    pub headers: bool,
    /// The fields that trusted proxies set. The fields of the other family are removed. Default
    /// [`ProxyHeaderFamily::XForwarded`].
    pub header_family: ProxyHeaderFamily,
    /// The peers that are trusted proxies. Default `127.0.0.1,::1`.
    pub trusted_peers: TrustedPeers,
    /// Whether each connection begins with a header of the PROXY protocol. Default
    /// [`ProxyProtocol::Off`].
    pub protocol: ProxyProtocol,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            headers: true,
            header_family: ProxyHeaderFamily::XForwarded,
            trusted_peers: TrustedPeers::default(),
            protocol: ProxyProtocol::Off,
        }
    }
}

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
