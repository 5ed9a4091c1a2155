//! The settings of listeners.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::kind::{Many, One, Parsed, Shape};
use super::setting::settings;
use super::values::path;
use crate::error::ServeError;

settings! {
    /// Where the server listens.
    listen: Listen {
        /// The address to listen on: an IP address, or a name such as `localhost` for all its addresses.
        ///
        /// The default is reached from this machine only; 0.0.0.0 and :: stand for all addresses of
        /// the machine.
        host => host: (String) = "127.0.0.1" as HOST;

        /// The port to listen on; 0 for any free port.
        port => port: (u16) = "8000" as PORT;

        /// An address to listen on, in place of host and port; may be given repeatedly.
        ///
        /// `127.0.0.1:8000`, `[::]:8000`, `localhost:8000` for all addresses of a name, `unix:PATH` for a
        /// Unix socket, or `fd:N` for a socket that the server inherits. The socket that a dead server has left at this path is replaced, and the socket
        /// is removed when the server stops. Exchanges over a Unix socket have neither `client` nor
        /// `server`.
        bind => bind: [BindAddress] = "none" as BIND;

        /// An address to listen on for cleartext beside the addresses that speak TLS; may be given
        /// repeatedly.
        ///
        /// The addresses are written as those of `bind`. The host and the port, or `bind` and `uds`, speak
        /// TLS if there is a certificate.
        insecure_bind => insecure_bind: [BindAddress] = "none" as BIND;

        /// The path of a Unix socket to listen on, in place of host and port: the same as
        /// `--bind unix:PATH`.
        uds => uds: (Option<PathBuf>) = "none" as SOCKET_PATH;

        /// The descriptor of a TCP or Unix socket that the server inherits, in place of host and port: the
        /// same as `--bind fd:N`.
        fd => fd: (Option<i32>) = "none" as DESCRIPTOR;

        /// The permissions of Unix sockets, such as 660; `none` for those that the umask leaves.
        uds_mode => uds_mode: (Option<u32>) = "none" as MODE;

        /// The owner of Unix sockets, as names or numbers, such as www-data:www-data or 33:33; `none` for
        /// the user and the group of the server.
        uds_owner => uds_owner: (Option<SocketOwner>) = "none" as OWNER;

        /// The number of connections that may wait in the system's queue to be accepted.
        backlog => backlog: (u32) = "2048" as BACKLOG;
    }
}

/// An address that a server is told to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindAddress {
    /// An IP address, or a name for all its addresses, and a port; 0 picks a free port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// The descriptor of a TCP or Unix socket that the process inherits.
    Fd(i32),
}

/// The owner of a Unix socket. A name that is a number is the number of the user or the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// The user.
    pub user: String,
    /// The group.
    pub group: String,
}

impl From<(u32, u32)> for SocketOwner {
    fn from((user, group): (u32, u32)) -> Self {
        Self {
            user: user.to_string(),
            group: group.to_string(),
        }
    }
}

impl From<SocketAddr> for BindAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.ip().to_string(), address.port())
    }
}

impl fmt::Display for BindAddress {
    /// Writes the address as it is given: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock` or
    /// `fd:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.parse::<Ipv6Addr>().is_ok() => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

impl Listen {
    /// Returns the addresses of `bind`, `uds` and `fd`.
    pub(crate) fn given_addresses(&self) -> Vec<BindAddress> {
        let uds = self.uds.clone().map(BindAddress::Unix);
        let fd = self.fd.map(BindAddress::Fd);
        (self.bind.iter().cloned()).chain(uds).chain(fd).collect()
    }

    /// Returns the addresses to listen on, but for those of `insecure_bind`: those of `bind`, `uds` and
    /// `fd`, or `host` and `port`.
    pub(crate) fn addresses(&self) -> Vec<BindAddress> {
        let addresses = self.given_addresses();
        if addresses.is_empty() {
            return vec![BindAddress::Tcp(self.host.clone(), self.port)];
        }
        addresses
    }

    pub(super) fn check(&self) -> Result<(), ServeError> {
        let default = Self::default();
        let own = [
            ("host", self.host != default.host),
            ("port", self.port != default.port),
        ];
        let others = [
            ("bind", !self.bind.is_empty()),
            ("uds", self.uds.is_some()),
            ("fd", self.fd.is_some()),
        ];
        let given = |settings: &[(&'static str, bool)]| {
            let given = settings.iter().find(|(_, is_given)| *is_given);
            given.map(|(name, _)| *name)
        };
        if let (Some(other), Some(own)) = (given(&others), given(&own)) {
            return Err(ServeError::Conflict {
                names: [own, other],
                remedy: "give all addresses as `bind`, each with its port",
            });
        }
        let of_sockets = [
            ("uds_mode", self.uds_mode.is_some()),
            ("uds_owner", self.uds_owner.is_some()),
        ];
        let is_unix = |address: &BindAddress| matches!(address, BindAddress::Unix(_));
        let mut all = self.addresses();
        all.extend_from_slice(&self.insecure_bind);
        match given(&of_sockets) {
            Some(name) if !all.iter().any(is_unix) => Err(ServeError::Conflict {
                names: [name, "bind"],
                remedy: "there is no Unix socket; give one as `unix:PATH`",
            }),
            _ => Ok(()),
        }
    }
}

const HOST: One<String> = One {
    name: "HOST",
    shape: Shape::Text,
    parse: host,
    show: String::clone,
};

const PORT: One<u16> = One::number("PORT", port);

const BIND: Many<BindAddress> = Many {
    name: "ADDRESS",
    separator: ',',
    parse: bind,
    show: |address| address.to_string(),
};

const SOCKET_PATH: One<Option<PathBuf>> = path("PATH");

const MODE: One<Option<u32>> = One {
    name: "MODE",
    shape: Shape::Text,
    parse: mode,
    show: |mode| mode.map_or_else(|| "none".into(), |mode| format!("{mode:o}")),
};

const OWNER: One<Option<SocketOwner>> = One {
    name: "USER:GROUP",
    shape: Shape::Text,
    parse: owner,
    show: |owner| match owner {
        None => "none".into(),
        Some(SocketOwner { user, group }) => format!("{user}:{group}"),
    },
};

const DESCRIPTOR: One<Option<i32>> = One {
    name: "NUMBER",
    shape: Shape::Number,
    parse: |text| match text {
        "none" => Ok(None),
        _ => descriptor(text).map(Some),
    },
    show: |number| number.map_or_else(|| "none".into(), |number| number.to_string()),
};

const BACKLOG: One<u32> = One::number("NUMBER", backlog);

fn host(text: &str) -> Parsed<String> {
    // An IPv6 address may have brackets, as in a URL.
    let address = (text.strip_prefix('['))
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_name = !text.is_empty()
        && (text.chars()).all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match address {
        Some(address) => Ok(address.into()),
        None if is_name || text.parse::<Ipv6Addr>().is_ok() => Ok(text.into()),
        None => Err("give an IP address or a name, such as 127.0.0.1, ::1 or localhost"),
    }
}

fn port(text: &str) -> Parsed<u16> {
    text.parse()
        .map_err(|_| "give a number from 0 to 65535; 0 picks a free port")
}

pub(super) fn bind(text: &str) -> Parsed<BindAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("give a path, such as unix:/run/app.sock"),
            _ => Ok(BindAddress::Unix(path.into())),
        };
    }
    if let Some(number) = text.strip_prefix("fd:") {
        return descriptor(number).map(BindAddress::Fd);
    }
    let remedy = "give HOST:PORT, unix:PATH or fd:N, such as 127.0.0.1:8000, [::]:8000 or \
                  unix:/run/app.sock";
    let (name, number) = text.rsplit_once(':').ok_or(remedy)?;
    // An IPv6 address has brackets here, so that its end can be told from a port.
    if name.contains(':') && !name.starts_with('[') {
        return Err(remedy);
    }
    let name = host(name).map_err(|_| remedy)?;
    let number = port(number).map_err(|_| remedy)?;
    Ok(BindAddress::Tcp(name, number))
}

fn mode(text: &str) -> Parsed<Option<u32>> {
    if text == "none" {
        return Ok(None);
    }
    (u32::from_str_radix(text, 8).ok())
        .filter(|mode| *mode <= 0o777)
        .map(Some)
        .ok_or("give permissions in octal, such as 660")
}

fn owner(text: &str) -> Parsed<Option<SocketOwner>> {
    if text == "none" {
        return Ok(None);
    }
    (text.split_once(':'))
        .filter(|(user, group)| !user.is_empty() && !group.is_empty() && !group.contains(':'))
        .map(|(user, group)| SocketOwner {
            user: user.into(),
            group: group.into(),
        })
        .map(Some)
        .ok_or("give a user and a group, such as www-data:www-data or 33:33")
}

fn descriptor(text: &str) -> Parsed<i32> {
    text.parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or("give the number of an open descriptor, such as 3")
}

fn backlog(text: &str) -> Parsed<u32> {
    text.parse()
        .ok()
        .filter(|number| (1..=i32::MAX as u32).contains(number))
        .ok_or("give a number from 1 to 2147483647")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_given() {
        for text in [
            "127.0.0.1:8000",
            "[::]:0",
            "localhost:80",
            "unix:/run/a.sock",
            "unix:b",
            "fd:3",
        ] {
            assert_eq!(bind(text).unwrap().to_string(), text);
        }
        for text in [
            "", "8000", ":8000", "::1:80", "[::1]", "a:b:80", "a b:80", "[x]:80", "h:65536",
            "unix:", "fd:", "fd:-1", "fd:a",
        ] {
            assert!(bind(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn hosts_may_be_written_as_in_a_url() {
        assert_eq!(host("[::1]").unwrap(), "::1");
        assert_eq!(host("localhost").unwrap(), "localhost");
        for text in ["", "a/b", "http://a", "[a]", "a:80"] {
            assert!(host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused_with_the_names_of_both() {
        let address = || BindAddress::from(SocketAddr::from(([127, 0, 0, 1], 80)));
        let mut listen = Listen::default();
        listen.bind.push(address());
        assert!(listen.check().is_ok());
        listen.port = 1;
        let error = listen.check().unwrap_err().to_string();
        assert!(error.contains("`port` and `bind`"), "{error}");
        let listen = Listen {
            uds: Some("/run/a.sock".into()),
            host: "::1".into(),
            ..Listen::default()
        };
        let error = listen.check().unwrap_err().to_string();
        assert!(error.contains("`host` and `uds`"), "{error}");
        let listen = Listen {
            uds_mode: Some(0o660),
            ..Listen::default()
        };
        let error = listen.check().unwrap_err().to_string();
        assert!(error.contains("`uds_mode` and `bind`"), "{error}");
    }
}
