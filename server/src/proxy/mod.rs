//! What a server learns from the proxies in front of it: by the PROXY protocol on a new connection, and
//! by the header fields of each request. This folder does no I/O.

mod conclusion;
mod forwarded;
mod node;
mod prefix;
mod protocol;
mod settings;
mod trusted_peers;
mod x_forwarded;

pub(crate) use self::conclusion::{Conclusion, conclude, is_proxy_field, remove_proxy_fields};
pub(crate) use self::protocol::{Parsed, Source, parse};
pub use self::settings::{ProxyHeaderFamily, ProxyProtocol};
pub(crate) use self::trusted_peers::REMEDY;
pub use self::trusted_peers::{InvalidTrustedPeers, TrustedPeers};
