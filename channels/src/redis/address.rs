//! The URL of a Redis.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
};

use super::sentinel::Service;
use crate::Error;

/// The beginnings of the URLs.
const SCHEMES: [&str; 7] = [
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
];

/// The port of a sentinel whose URL has none.
const SENTINEL_PORT: u16 = 26379;

/// What a URL leads to.
#[derive(Debug)]
pub(super) enum Store {
    Single(Box<Address>),
    Cluster {
        /// The first nodes to ask for the others.
        seeds: Vec<Address>,
        /// How to connect to a node, but for its address.
        info: Box<ConnectionInfo>,
    },
}

/// Where to connect.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) place: Place,
    /// The same for messages, without passwords.
    pub(super) target: String,
}

/// What there is at an address.
#[derive(Debug)]
pub(super) enum Place {
    Server(Client),
    /// The master that sentinels know.
    Sentinels(Service),
}

/// Returns whether this is a URL of a Redis.
pub(crate) fn is_redis_url(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

impl Store {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let parsed = if let Some((scheme, rest)) = url.split_once("+sentinel://") {
            Address::of_sentinels(scheme, rest)
                .map(Box::new)
                .map(Self::Single)
        } else if let Some((scheme, rest)) = url.split_once("+cluster://") {
            Self::of_cluster(scheme, rest)
        } else {
            client(url)
                .map(Address::of_server)
                .map(Box::new)
                .map(Self::Single)
        };
        parsed.map_err(|reason| Error::InvalidUrl {
            reason: format!(
                "the URL of Redis is not understood: {} (write redis://HOST:PORT, rediss:// for TLS, \
                 redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT)",
                plain(&reason)
            ),
        })
    }

    /// `rest` is `[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]...[?PARAMETERS]`.
    fn of_cluster(scheme: &str, rest: &str) -> Result<Self, RedisError> {
        let urls = urls(scheme, rest, None);
        let clients: Vec<_> = urls
            .iter()
            .map(|url| client(url))
            .collect::<Result<_, _>>()?;
        let info = clients[0].get_connection_info().clone();
        if info.redis_settings().db() != 0 {
            return Err(invalid("a cluster has no databases".to_owned()));
        }
        Ok(Self::Cluster {
            seeds: clients.into_iter().map(Address::of_server).collect(),
            info: Box::new(info),
        })
    }
}

impl Address {
    pub(super) fn of_server(client: Client) -> Self {
        Self {
            target: format!("redis at {}", client.get_connection_info().addr()),
            place: Place::Server(client),
        }
    }

    /// `rest` is `[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT].../SERVICE[/DATABASE][?PARAMETERS]`.
    fn of_sentinels(scheme: &str, rest: &str) -> Result<Self, RedisError> {
        let (rest, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (service, database) = path.split_once('/').unwrap_or((path, ""));
        if service.is_empty() {
            return Err(invalid("the name of the service is missing".to_owned()));
        }
        let rest = format!("{authority}/{database}{query}");
        let urls = urls(scheme, &rest, Some(SENTINEL_PORT));
        let clients: Vec<_> = urls
            .iter()
            .map(|url| client(url))
            .collect::<Result<_, _>>()?;
        let addresses: Vec<_> = clients
            .iter()
            .map(|client| client.get_connection_info().addr().to_string())
            .collect();
        let mut settings = RedisConnectionInfo::default();
        if let Some(username) = parameter(query, "sentinel_username") {
            settings = settings.set_username(username);
        }
        if let Some(password) = parameter(query, "sentinel_password") {
            settings = settings.set_password(password);
        }
        // The masters are reached as the sentinels are, at other addresses.
        let master = clients[0].get_connection_info().clone();
        let sentinels = clients.iter().map(|client| {
            let info = client.get_connection_info().clone();
            Client::open(info.set_redis_settings(settings.clone()))
        });
        Ok(Self {
            target: format!("redis {service} (sentinels {})", addresses.join(", ")),
            place: Place::Sentinels(Service {
                name: service.to_owned(),
                sentinels: sentinels.collect::<Result<_, _>>()?,
                master,
            }),
        })
    }
}

/// Returns a URL for each host of `[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]...`, with what follows the hosts.
fn urls(scheme: &str, rest: &str, default_port: Option<u16>) -> Vec<String> {
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let url = |host: &str| {
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = default_port.filter(|_| !has_port);
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        format!("{scheme}://{user}{host}{port}{rest}")
    };
    hosts.split(',').map(url).collect()
}

/// Returns a client for the URL of one server.
fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone();
    let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // This fails if the application has chosen a provider of cryptography, which is used then.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let Some(file) = parameter(query, "ssl_ca_certs") else {
        return Client::open(info);
    };
    let certificates =
        std::fs::read(&file).map_err(|reason| invalid(format!("cannot read {file}: {reason}")))?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(certificates),
    };
    Client::build_with_tls(info, certificates)
}

/// Returns a parameter of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let query = query.trim_start_matches('?');
    let url = redis::parse_redis_url(&format!("redis://host/?{query}"))?;
    let mut pairs = url.query_pairs();
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

/// Returns how to connect to another host in the way of `info`.
pub(super) fn at(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match info.addr().clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

fn invalid(reason: String) -> RedisError {
    (ErrorKind::InvalidClientConfig, "", reason).into()
}

/// Returns the message of an error: what a server says as it says it, and no names of categories where there is a plainer
/// message.
pub(super) fn plain(error: &RedisError) -> String {
    let of_server = error.clone().into_server_errors();
    if let Some((_, first)) = of_server.as_deref().and_then(<[_]>::first) {
        return format!("{} {}", first.code(), first.details().unwrap_or_default());
    }
    error
        .detail()
        .map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> String {
        match Store::parse(url) {
            Ok(Store::Single(address)) => address.target,
            Ok(Store::Cluster { seeds, .. }) => {
                let targets: Vec<_> = seeds.into_iter().map(|seed| seed.target).collect();
                targets.join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_target_of_a_url_has_each_address_and_no_password() {
        let targets = [
            ("redis://127.0.0.1", "redis at 127.0.0.1:6379"),
            (
                "rediss://:secret@localhost:7000/3",
                "redis at localhost:7000",
            ),
            ("unix:///run/redis.sock", "redis at /run/redis.sock"),
            ("redis+sentinel://a/main", "redis main (sentinels a:26379)"),
            (
                "redis+sentinel://user:se@cret@a:1,[::1]:2,[::1]/main/3?sentinel_password=secret",
                "redis main (sentinels a:1, ::1:2, ::1:26379)",
            ),
            (
                "rediss+cluster://:secret@a,b:7000?protocol=resp3",
                "redis at a:6379, redis at b:7000",
            ),
        ];
        for (url, target) in targets {
            assert_eq!(parse(url), target, "{url}");
        }
    }

    #[test]
    fn a_url_that_is_not_understood_is_an_error_without_its_passwords() {
        let urls = [
            ("redis://:secret@a:port", "did not parse"),
            ("redis://:secret@a/secret", "Invalid database number"),
            (
                "redis+sentinel://:secret@a",
                "the name of the service is missing",
            ),
            ("redis+sentinel://:secret@a,,b/main", "not understood"),
            (
                "redis+sentinel://:secret@a/main/x",
                "Invalid database number",
            ),
            ("redis+cluster://:secret@a,b:port", "did not parse"),
            (
                "redis+cluster://:secret@a,b/1",
                "a cluster has no databases",
            ),
            ("redis+other://:secret@a/main", "did not parse"),
            (
                "rediss://:secret@a?ssl_ca_certs=/no/such/file",
                "cannot read /no/such/file: No such file",
            ),
            ("redis://:secret@a?ssl_ca_certs=/dev/null", "rediss://"),
        ];
        for (url, expected) in urls {
            let message = parse(url);
            assert!(
                message.starts_with("the URL of Redis is not understood: "),
                "{message}"
            );
            assert!(message.contains(expected), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
