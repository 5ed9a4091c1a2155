//! The URL of a Redis.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
};

use super::sentinel::Service;
use crate::Error;

/// The beginnings of the URLs.
const SCHEMES: [&str; 5] = [
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
];

/// The port of a sentinel whose URL has none.
const SENTINEL_PORT: u16 = 26379;

/// Where a URL leads.
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

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let parsed = match url.split_once("+sentinel://") {
            Some((scheme, rest)) => Self::of_sentinels(scheme, rest),
            None => Self::of_server(url),
        };
        parsed.map_err(|reason| Error::InvalidUrl {
            reason: format!(
                "the URL of Redis is not understood: {} (write redis://HOST:PORT, rediss:// for TLS, or \
                 redis+sentinel://HOST:PORT,HOST:PORT/SERVICE)",
                plain(&reason)
            ),
        })
    }

    fn of_server(url: &str) -> Result<Self, RedisError> {
        let client = client(url)?;
        Ok(Self {
            target: format!("redis at {}", client.get_connection_info().addr()),
            place: Place::Server(client),
        })
    }

    /// `rest` is `[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT].../SERVICE[/DATABASE][?PARAMETERS]`.
    fn of_sentinels(scheme: &str, rest: &str) -> Result<Self, RedisError> {
        let (rest, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let (service, database) = path.split_once('/').unwrap_or((path, ""));
        if service.is_empty() {
            return Err(invalid("the name of the service is missing".to_owned()));
        }
        let mut clients = Vec::new();
        for host in hosts.split(',') {
            let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
            let port = match has_port {
                true => String::new(),
                false => format!(":{SENTINEL_PORT}"),
            };
            clients.push(client(&format!(
                "{scheme}://{user}{host}{port}/{database}{query}"
            ))?);
        }
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

/// Returns the message of an error without the names of its categories where there is a plainer one.
pub(super) fn plain(error: &RedisError) -> String {
    error.detail().map_or_else(
        || error.to_string(),
        |detail| match error.code() {
            Some(code) => format!("{code} {detail}"),
            None => detail.to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> String {
        match Address::parse(url) {
            Ok(address) => address.target,
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
