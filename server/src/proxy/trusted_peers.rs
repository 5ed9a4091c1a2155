//! The peers that are trusted proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// The peers that are trusted proxies: addresses, networks, the peers of Unix sockets, or all.
///
/// An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
///
/// ```
/// let peers: callgate_server::TrustedPeers = "127.0.0.1, 10.0.0.0/8, unix".parse().unwrap();
/// assert!(peers.contains("10.1.2.3".parse().unwrap()));
/// assert!(!peers.contains("192.0.2.1".parse().unwrap()));
/// assert_eq!(peers.to_string(), "127.0.0.1,10.0.0.0/8,unix");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedPeers {
    all: bool,
    unix: bool,
    networks: Vec<IpNet>,
}

impl TrustedPeers {
    /// Returns whether a peer with this address is trusted.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Returns whether the peers of Unix sockets are trusted.
    #[must_use]
    pub fn contains_unix(&self) -> bool {
        self.all || self.unix
    }
}

impl Default for TrustedPeers {
    /// Returns `127.0.0.1,::1`.
    fn default() -> Self {
        let loopback: [IpAddr; 2] = [
            std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::Ipv6Addr::LOCALHOST.into(),
        ];
        Self {
            all: false,
            unix: false,
            networks: loopback.map(IpNet::from).into(),
        }
    }
}

/// What to give in place of a list that is not understood.
pub(crate) const REMEDY: &str =
    "give addresses, networks, `unix` or `*`, separated by commas, such as 127.0.0.1,10.0.0.0/8";

/// The error for a list of peers with an entry that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTrustedPeers;

impl fmt::Display for InvalidTrustedPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REMEDY)
    }
}

impl std::error::Error for InvalidTrustedPeers {}

impl FromStr for TrustedPeers {
    type Err = InvalidTrustedPeers;

    /// Parses a list that is separated by commas. The empty list trusts no peer.
    fn from_str(text: &str) -> Result<Self, InvalidTrustedPeers> {
        let mut peers = Self {
            all: false,
            unix: false,
            networks: Vec::new(),
        };
        if text.trim().is_empty() {
            return Ok(peers);
        }
        for entry in text.split(',').map(str::trim) {
            match entry {
                "*" => peers.all = true,
                "unix" => peers.unix = true,
                _ => peers
                    .networks
                    .push(network(entry).ok_or(InvalidTrustedPeers)?),
            }
        }
        Ok(peers)
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().ok()?.trunc(),
    };
    // A network of mapped addresses is the IPv4 network.
    if let IpNet::V6(mapped) = network
        && let Some(length) = mapped.prefix_len().checked_sub(96)
        && let Some(address) = mapped.addr().to_ipv4_mapped()
    {
        return Ipv4Net::new(address, length).ok().map(IpNet::V4);
    }
    Some(network)
}

impl fmt::Display for TrustedPeers {
    /// Writes the list as it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(|network| {
            match network.prefix_len() == network.max_prefix_len() {
                true => network.addr().to_string(),
                false => network.to_string(),
            }
        });
        let unix = self.unix.then(|| "unix".to_owned());
        let all = self.all.then(|| "*".to_owned());
        let entries: Vec<_> = networks.chain(unix).chain(all).collect();
        f.write_str(&entries.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_and_networks_are_those_of_ipv4() {
        for list in [
            "192.0.2.0/24",
            "::ffff:192.0.2.0/120",
            "192.0.2.7",
            "::ffff:192.0.2.7",
            "*",
        ] {
            let peers: TrustedPeers = list.parse().unwrap();
            for address in ["192.0.2.7", "::ffff:192.0.2.7"] {
                assert!(peers.contains(address.parse().unwrap()), "{list} {address}");
            }
        }
        let peers: TrustedPeers = "192.0.2.0/24".parse().unwrap();
        assert!(!peers.contains("192.0.3.1".parse().unwrap()));
    }

    #[test]
    fn unix_sockets_are_trusted_only_by_name_or_with_all() {
        for (list, is_trusted) in [
            ("unix", true),
            ("*", true),
            ("127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(
                list.parse::<TrustedPeers>().unwrap().contains_unix(),
                is_trusted
            );
        }
    }

    #[test]
    fn loopback_is_the_default() {
        assert_eq!("127.0.0.1, ::1".parse(), Ok(TrustedPeers::default()));
        assert_eq!(TrustedPeers::default().to_string(), "127.0.0.1,::1");
    }

    #[test]
    fn a_list_with_an_unknown_entry_is_refused() {
        for list in [
            "localhost",
            "10.0.0.0/33",
            "10.0.0.1,",
            "1.2.3",
            "127.0.0.1:80",
            "[::1]",
        ] {
            assert_eq!(
                list.parse::<TrustedPeers>(),
                Err(InvalidTrustedPeers),
                "{list}"
            );
        }
    }
}
